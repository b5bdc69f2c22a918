import pytest

from geneb_jax.benchmark import GENEB, select_tasks


def test_definition():
    assert len(GENEB.tasks) == 100
    assert len({task.id for task in GENEB.tasks}) == 100
    assert len(GENEB.categories) == 13
    assert {task.category for task in GENEB.tasks} == set(GENEB.categories)
    assert GENEB.seeds == (13, 17, 42, 123, 997)
    assert GENEB.regimes == ("full", "10shot", "1shot")
    assert len(GENEB.dataset_revision) == 40


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        ("all", 100),
        ("Promoters", 22),
        ("sentinel", 13),
        ("stability", 13),
        ("NT", 18),
        ("NT-rev", 18),
        ("GUE", 31),
        ("PGB", 7),
        ("iDHS,iDNA", 3),
        ("promoters, PROMOTERS", 22),
        ("GUE mouse 0,leannmlindsey_GUE_mouse_0", 1),
    ],
)
def test_selection(selection, count):
    chosen = select_tasks(selection)
    assert len(chosen) == count
    order = [task.id for task in GENEB.tasks]
    assert [t.id for t in chosen] == sorted((t.id for t in chosen), key=order.index)


def test_sentinel_is_the_first_task_of_each_category():
    assert [task.category for task in select_tasks("sentinel")] == list(GENEB.categories)


def test_suites_cover_the_benchmark():
    suites = ("NT", "NT-rev", "GUE", "GB", "PGB", "iPro", "4mC", "iDNA", "iDHS")
    assert sum(len(select_tasks(suite)) for suite in suites) == 100


def test_every_unknown_name_is_reported_with_the_nearest():
    with pytest.raises(ValueError) as error:
        select_tasks("Promotors,GUE,splicesites")
    text = str(error.value)
    assert "'Promotors'" in text
    assert "promoters" in text
    assert "'splicesites'" in text
    assert "splice sites" in text
