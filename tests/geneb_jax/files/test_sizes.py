from geneb_jax.files.sizes import shown_size, size_of


def test_the_size_of_a_folder_counts_its_files(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"123")
    (tmp_path / "c").write_bytes(b"4567")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert size_of(tmp_path) == 7
    assert (size_of(tmp_path / "c"), size_of(tmp_path / "none")) == (4, 0)
    assert size_of(tmp_path / "link") == (tmp_path / "link").lstat().st_size


def test_sizes_have_a_digit_behind_the_point():
    assert shown_size(0) == "0.0 MiB"
    assert shown_size(3 * 2**29) == "1.5 GiB"
