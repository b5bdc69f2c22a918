from geneb_jax.files.counts import counted


def test_one_is_singular_and_thousands_have_commas():
    assert [counted(n, "task") for n in (0, 1, 2000)] == ["0 tasks", "1 task", "2,000 tasks"]
    assert counted(2, "file or folder", "files and folders") == "2 files and folders"
