from pathlib import Path

import pytest

from geneb_jax.config import (
    OF_A_HOST,
    ConfigError,
    Settings,
    default_config,
    fields,
    fields_of_scores,
    parse_config,
)


def parsed(**fields):
    config = default_config()
    config.update(fields)
    return parse_config(config)


def test_defaults_are_genebs_protocol():
    settings = parsed()
    assert settings.probes.regimes == (None, 10, 1)
    assert settings.probes.seeds == (13, 17, 42, 123, 997)
    assert settings.probes.C == (1.0,)
    assert settings.probes.solver == "geneb"
    assert (settings.embedding.preset, settings.embedding.dtype) == ("corrected", "model")
    assert settings.data.models == ("all",)
    assert settings.data.tasks_dir is None
    assert settings == Settings()


def test_fields_of_scores_leave_out_where_things_are_and_what_is_shown():
    names = {field.name for field in fields_of_scores()}
    assert {"preset", "dtype", "window", "letters", "max_train", "solver", "C", "seeds"} <= names
    assert not names & {*OF_A_HOST, "models", "tasks", "mesh", "report", "submission_name"}
    assert set(OF_A_HOST) <= {field.name for field in fields()}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("C", "0.1,1", (0.1, 1.0)),
        ("C", (0.01, 1, 100), (0.01, 1.0, 100.0)),
        ("C", 2, (2.0,)),
        ("seeds", "1, 2,1", (1, 2)),
        ("models", "kmer-4,kmer-6", ("kmer-4", "kmer-6")),
        ("taps", "-1, 0,12", (-1, 0, 12)),
        ("taps", "preset,mlp29,3", ("preset", "mlp29", 3)),
        ("taps", 3, (3,)),
        ("taps", "all", ()),
        ("poolings", "preset,max", ("preset", "max")),
    ],
)
def test_lists_are_commas_tuples_or_one_value(field, value, expected):
    config = default_config()
    with config.unlocked():
        config[field] = value
    (group,) = (known.group for known in fields() if known.name == field)
    found = getattr(getattr(parse_config(config), group), field)
    assert found == expected
    assert [type(item) for item in found] == [type(item) for item in expected]


def test_regimes_name_their_shots():
    assert parsed(regimes="5shot,full,100shot").probes.regimes == (5, None, 100)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("preset", "publishd", ["config.preset", "'publishd'", "published"]),
        ("solver", "exact", ["config.solver", "geneb, geneb-float32, converged"]),
        ("regimes", "full,0shot", ["config.regimes", "'0shot'", "10shot"]),
        ("regimes", "few", ["'few'"]),
        ("seeds", "13,x", ["config.seeds", "'x'", "integer"]),
        ("seeds", "-1", ["seed -1"]),
        ("C", "0", ["config.C", "0.0", "positive"]),
        ("C", "nan", ["config.C", "nan"]),
        ("mesh", "data=2", ["config.mesh", "'data=2'", "model=N"]),
        ("models", " ,", ["config.models", "nothing is named"]),
        ("tasks_dir", "/does/not/exist", ["config.tasks_dir", "/does/not/exist"]),
        ("batch_tokens", -5, ["config.batch_tokens", "-5"]),
        ("dtype", "float16", ["config.dtype", "bfloat16"]),
        ("probes", "logistik", ["config.probes", "logistic"]),
        ("taps", "-2", ["config.taps", "-2", "-1 (final)", "all"]),
        ("taps", "last", ["config.taps", "'last'", "integer"]),
        ("taps", "mlp0", ["config.taps", "'mlp0'", "integer"]),
        ("poolings", "mena", ["config.poolings", "'mena'", "mean"]),
    ],
)
def test_bad_values_are_named_with_the_valid_ones(field, value, words):
    with pytest.raises(ConfigError) as error:
        parsed(**{field: value})
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("gs://bucket/x", "gs://bucket/x"), ("~/x", str(Path.home() / "x")), ("", "")],
)
def test_embeddings_may_be_kept_in_any_file_system(given, kept):
    assert parsed(embeddings_dir=given).embedding.embeddings_dir == kept


def test_everything_wrong_is_reported_at_once():
    config = default_config()
    config.sedes = "1"
    config.preset = "x"
    config.C = "-1"
    with pytest.raises(ConfigError) as error:
        parse_config(config)
    assert len(error.value.problems) == 3
    assert "did you mean seeds" in error.value.problems[0]
