import json

from run_folders import scores_of, write_run

from geneb_jax.benchmark import GENEB


def test_a_pull_request_is_written_where_nothing_is_wrong(tmp_path, command):
    write_run(tmp_path / "run", tasks_dir="somewhere")
    out = tmp_path / "out"
    words = ("submission", tmp_path / "run", "--model", "kmer-4", "--out", out)
    done = command(*words)
    assert done.returncode == 2 and not done.stdout and not out.exists()
    assert done.stderr.splitlines() == [
        "meta.submitted_by is '', nobody's name; say it with --submitted-by",
        "the scores are of the task files in somewhere, and whether these are GENEB's is not "
        "known; say so with --genebs-tasks",
        "2 problems keep 'kmer-4' from being submitted; nothing is written",
    ]
    words = (*words, "--genebs-tasks")
    done = command(*words, "--submitted-by", "A. Person", "--zero-shot", "--id", "four")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == str(out / "submissions" / "four.json") and len(lines) == 6
    content = json.loads((out / "submissions" / "four.json").read_text())
    assert content["model_id"] == "four" and content["meta"]["zero_shot"] is True
    done = command(*words, "--submitted-by", "A. Person")
    assert done.returncode == 2 and "name a new folder" in done.stderr


def test_every_problem_is_a_line(tmp_path, command):
    write_run(tmp_path / "run", scores_of("kmer-4", tasks=GENEB.tasks[:2]))
    done = command("submission", tmp_path / "run", "--model", "kmer-4", "--out", tmp_path / "o")
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and len(lines) == 1 + 1 + 1
    assert lines[0] == f"task '{GENEB.tasks[2].id}' and 97 more: no scores in full, 10shot, 1shot"
    assert lines[-1] == "2 problems keep 'kmer-4' from being submitted; nothing is written"
    assert not (tmp_path / "o").exists()
    done = command("submission", tmp_path / "run", "--model", "kmer-5", "--out", tmp_path / "o")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
