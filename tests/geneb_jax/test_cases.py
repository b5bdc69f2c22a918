"""Every case of reported faults: read right, or refused in a line, by the tests that this lists."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from golden_ports import GOLDEN
from shared_data import need

from geneb_jax.config import DataSettings
from geneb_jax.tasks.selection import read_tasks
from model_ports import catalog
from model_ports.loading.identity import checkpoint_facts, weights_id
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port

NT = "nucleotide-transformer-v2-50m-multi-species"
# The file that tests each case, beside this one; cases of one family or of locks are with those.
TESTED = {
    "tasks/test_cases.py": [
        "appledouble_tasks", "conflicting_labels", "csv_field_limit", "csv_name_commas",
        "fasta_dup_names", "fasta_odd", "gz_corrupt", "gz_task", "ipynb", "kmer_spaced",
        "lower_case", "name_comma_crash", "name_comma_first", "name_comma_label", "r_row_names",
        "upper_ext", "wrapped",
    ],
    "embedding/test_stored.py": ["npz"],
    "test_cases.py": ["category_name", "ckpt_appledouble", "fingerprint_middle"],
    "-": ["ckpt_classifier", "ckpt_no_prefix", "ckpt_peft", "flock", "rope_parameters_v5"],
}  # fmt: skip


def test_each_case_has_its_test():
    folders = {path.name for path in need("cases").iterdir() if path.is_dir()}
    assert folders == {name for names in TESTED.values() for name in names}
    for file, names in TESTED.items():
        text = (Path(__file__).parent / file).read_text() if file != "-" else ""
        assert all(f'"{name}"' in text for name in names) or file == "-", file


def test_a_file_that_is_named_like_a_category_is_refused(tmp_path):
    shutil.copy(need("cases", "category_name", "Promoters.csv"), tmp_path)
    settings = DataSettings(tasks="Promoters", tasks_dir=tmp_path)
    with pytest.raises(ValueError, match=r"'Promoters' is a file in .*rename the file"):
        read_tasks(settings)
    tasks, problems = read_tasks(DataSettings(tasks="all", tasks_dir=tmp_path))
    assert [task.info.id for task in tasks] == ["Promoters"] and not problems


def test_files_of_macos_beside_weights_are_left_alone():
    folder = need("cases", "ckpt_appledouble", NT)
    assert any(path.name.startswith("._") for path in folder.iterdir())
    load_port(plan_checkpoint(catalog.get(NT), folder))


def test_weights_that_differ_in_the_middle_of_a_file_are_others(tmp_path):
    program = need("cases", "fingerprint_middle", "make.py")
    subprocess.run([sys.executable, program, GOLDEN / NT, tmp_path], check=True, timeout=120)
    base, tuned = (weights_id(checkpoint_facts(tmp_path / name / NT)) for name in ("base", "tuned"))
    assert base != tuned
