from geneb_jax.files.sizes import shown_size, size_of


def test_the_size_of_a_folder_counts_its_files(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"123")
    (tmp_path / "c").write_bytes(b"4567")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert size_of(tmp_path) == 7
    assert (size_of(tmp_path / "c"), size_of(tmp_path / "none")) == (4, 0)
    assert size_of(tmp_path / "link") == (tmp_path / "link").lstat().st_size


def test_sizes_stand_in_the_largest_unit():
    shown = [shown_size(count) for count in (0, 1023, 1024, 3 * 2**19, 3 * 2**29, 2**41, 0.4)]
    assert shown == ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "1.5 GiB", "2.0 TiB", "0 B"]
