import pytest

from geneb_jax.benchmark import GENEB
from geneb_jax.config import DataSettings
from geneb_jax.tasks.selection import choose_tasks, read_tasks
from geneb_jax.tasks.synthetic import SYNTHETIC_IDS, synthetic_tasks

TABLE = "text,label,split\nACG,0,train\nGG,1,train\nA,0,test\n"


def ids(folder, selection):
    return [task.id for task in choose_tasks(folder, selection)]


@pytest.fixture
def folder(tmp_path):
    first = GENEB.tasks[0]
    for name in ("Mine", "other", "OTHER", first.id):
        (tmp_path / f"{name}.csv").write_text(TABLE)
    return tmp_path


def test_tasks_are_named_by_id_label_category_and_file(folder, caplog):
    first = GENEB.tasks[0]
    assert ids(folder, "all") == [first.id, "Mine", "OTHER", "other"]
    for name in (first.id, first.id.upper(), first.label, first.label.lower(), first.category):
        assert ids(folder, name) == [first.id]
    assert ids(folder, "Mine") == ["Mine"]
    assert not [record for record in caplog.records if "Mine" in record.getMessage()]
    assert ids(folder, " mINE , other") == ["Mine", "other"]
    assert "'mINE' is the task 'Mine'" in caplog.text


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        ("Mien", "'Mien' is no task, category or suite; did you mean Mine"),
        ("oTHER", "did you mean OTHER|did you mean other"),  # of two files, which is not known
        ("GUE mouse 00", "did you mean gue mouse 0"),
        (",".join("abcdefgh"), r"\.\.\. and 3 more names of no task"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(folder, selection, words):
    with pytest.raises(ValueError, match=words) as error:
        choose_tasks(folder, selection)
    assert len(str(error.value).splitlines()) <= 6
    with pytest.raises(ValueError) as same:
        read_tasks(DataSettings(tasks=selection, tasks_dir=folder))
    assert str(same.value) == str(error.value)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("synthetic", SYNTHETIC_IDS),
        ("synthetic_tata_promoter", ("synthetic_tata_promoter",)),
        # In the order of all, each once, in any case.
        (
            "Synthetic_Splice_Sites, synthetic_tata_promoter,synthetic_splice_sites",
            ("synthetic_tata_promoter", "synthetic_splice_sites"),
        ),
    ],
)
def test_synthetic_tasks_are_named_by_id(selection, expected):
    tasks, unreadable = read_tasks(DataSettings(tasks=selection))
    assert tuple(task.info.id for task in tasks) == expected
    assert not unreadable
    whole = {task.info.id: task for task in synthetic_tasks()}
    for task in tasks:  # the same rows, whichever others are asked for
        assert task.train.sequences == whole[task.info.id].train.sequences


def test_synthetic_tasks_stand_alone(folder):
    for selection in ("synthetic_tata_promoter,GUE", "GUE, synthetic"):
        with pytest.raises(ValueError, match=r"'synthetic\w*' is generated, and 'GUE' is not"):
            read_tasks(DataSettings(tasks=selection))
    with pytest.raises(ValueError, match="did you mean synthetic_tata_promoter"):
        read_tasks(DataSettings(tasks="synthetic_tata_promoters"))


def test_a_file_with_the_id_of_a_synthetic_task_is_read(folder):
    (folder / "synthetic_tata_promoter.csv").write_text(TABLE)
    (task,), _ = read_tasks(DataSettings(tasks="synthetic_tata_promoter", tasks_dir=folder))
    assert (task.synthetic, len(task.train.sequences)) == (False, 2)
    (task,), _ = read_tasks(DataSettings(tasks="synthetic_splice_sites", tasks_dir=folder))
    assert task.synthetic
