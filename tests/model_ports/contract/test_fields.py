import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_ports.contract.fields import (
    FieldError,
    Fields,
    Rotary,
    Stated,
    check_rotary_width,
    rotary,
    rotary_base,
    unknown_text,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
NOT_WHOLE = [-1, 0, 2**20 + 1, 10**12, 12.5, "12", True, None, math.nan, math.inf, [], {}, [12]]
NOT_A_SHARE = [-1e-5, 0, 1.5, 10**400, "1e-5", True, None, math.nan, math.inf, -math.inf, [], {}]


@pytest.mark.parametrize("value", NOT_WHOLE)
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(FieldError) as error:
        Fields({"heads": value}).count("heads")
    assert str(error.value).startswith("config.json: heads is ")
    assert str(error.value).endswith("; it must be a whole number from 1 to 1048576")


def test_another_config_is_asked_for_what_is_absent_and_has_no_default():
    other = {"rows": [9], "b": {"width": 5}, "heads": 7, "layers": 8, "bias": 1}
    fields = Fields({"layers": 3, "b": {}}, otherwise=other)
    assert fields.sizes("rows", length=1) == (9,)
    assert fields.count("width", "b.width") == 5
    assert (fields.count("layers"), fields.count("heads", absent=2)) == (3, 2)
    assert (fields.has("heads"), fields.unset("rows")) == (False, True)
    with pytest.raises(FieldError, match="bias is 1; it must be true or false"):
        fields.flag("bias")
    with pytest.raises(FieldError, match="epsilon is missing; add it"):
        fields.number("epsilon")


@pytest.mark.parametrize("value", NOT_A_SHARE)
def test_what_is_no_number_of_the_range_is_refused(value):
    with pytest.raises(
        FieldError, match=r"^config\.json: eps is .*; it must be a number above 0 and"
    ):
        Fields({"eps": value}).number("eps")


@pytest.mark.parametrize("value", [0, 1, "true", None, [], math.nan])
def test_what_is_neither_true_nor_false_is_refused(value):
    with pytest.raises(FieldError, match=r"bias is .*; it must be true or false"):
        Fields({"bias": value}).flag("bias")


@pytest.mark.parametrize("value", ["GELU", 1, None, {}, ["gelu"], True])
def test_what_is_none_of_the_names_is_refused(value):
    with pytest.raises(FieldError, match=r'act is .*; it must be "relu" or "gelu"'):
        Fields({"act": value}).choice("act", among=("relu", "gelu"))


@pytest.mark.parametrize("value", [3, [1, 1], [0.5], [-1], [True], ["1"], None, [1, 10**9]])
def test_what_is_no_list_of_numbers_is_refused(value):
    with pytest.raises(FieldError, match=r"layers is .*; it must be a list of different whole"):
        Fields({"layers": value}).counts("layers")


@pytest.mark.parametrize("value", [3, [], [1, 0], [1, 2, 3], [1, 0.5], [1, True], [1, "2"], None])
def test_what_is_no_list_of_sizes_is_refused(value):
    with pytest.raises(FieldError, match=r"dim is .*; it must be a list of 2 whole numbers from 1"):
        Fields({"dim": value}).sizes("dim", length=2)


def test_sizes_are_read():
    fields = Fields({"dim": [8, 8.0], "depth": 3, "none": []})
    assert fields.sizes("dim") == fields.sizes("dim", length=2) == (8, 8)
    assert fields.sizes("depth", length=2, repeated=True) == (3, 3)
    assert fields.sizes("absent", length=2, absent=(1, 2)) == (1, 2)
    with pytest.raises(FieldError, match=r"none is ..; it must be a list of some whole numbers"):
        fields.sizes("none")


def test_values_are_read():
    fields = Fields(
        {"a": 12, "b": 12.0, "c": 1, "d": False, "e": "gelu", "f": [2, 0], "g": {"h": 5}, "i": None}
    )
    assert fields.count("a") == 12
    assert isinstance(fields.count("b"), int)
    assert fields.number("c") == 1.0
    assert fields.flag("d") is False
    assert fields.choice("e", among=("relu", "gelu")) == "gelu"
    assert fields.counts("f") == (2, 0)
    assert fields.count("g.h") == 5
    assert fields.count("absent", absent=7) == 7
    assert fields.flag("absent", absent=False) is False
    assert fields.divisor("a", of="whole", whole=24) == 12
    assert fields.has("i") and fields.is_null("i") and fields.unset("i") and fields.unset("absent")
    assert not fields.has("absent") and not fields.is_null("absent") and not fields.unset("a")
    assert fields.is_text("e", "gelu") and not fields.is_text("e", "relu")


def test_absent_fields_and_wrong_shares_are_named():
    with pytest.raises(FieldError, match=r"^config\.json: width is missing; add it$"):
        Fields({}).count("width")
    with pytest.raises(FieldError, match=r"heads is 5; it must divide width, which is 12"):
        Fields({"heads": 5}).divisor("heads", of="width", whole=12)
    with pytest.raises(FieldError, match="heads are 7 wide"):
        check_rotary_width(7)


def test_two_spellings_must_agree():
    assert Fields({"n_embd": 8, "hidden_size": 8}).count("n_embd", "hidden_size") == 8
    assert Fields({"hidden_size": 8}).count("n_embd", "hidden_size") == 8
    with pytest.raises(FieldError, match="hidden_size is 9; n_embd is 8; keep one"):
        Fields({"n_embd": 8, "hidden_size": 9}).count("n_embd", "hidden_size")


FIXED = {"act": ("silu", "swish"), "decoder": (False, None), "rope": Stated(True), "a.b": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"rope": True, "act": "relu"}, 'act is "relu"; only "silu" or "swish" is computed here'),
        ({"rope": True, "decoder": True}, "decoder is true; only false or null is computed here"),
        ({"rope": True, "decoder": 0}, "decoder is 0; only false or null"),
        ({"rope": 1}, "rope is 1; only true is computed here"),
        ({}, "rope is missing; it must be true"),
        ({"rope": True, "a": {"b": 2}}, "a.b is 2; only 1 is computed here"),
        ({"rope": True, "is_encoder_decoder": True}, "is_encoder_decoder is true; only false"),
        ({"rope": True, "quantization_config": {"bits": 4}}, 'quantization_config is {"bits": 4};'),
    ],
)
def test_other_values_of_a_fixed_field_are_refused(content, message):
    with pytest.raises(FieldError) as error:
        Fields(content).check(FIXED)
    assert message in str(error.value)


def test_computed_values_pass():
    Fields({"rope": True}).check(FIXED)
    Fields({"rope": True, "decoder": None, "act": "swish", "a": {"b": 1.0}}).check(FIXED)


def test_what_nobody_asked_for_is_unknown():
    content = {"width": 4, "new": 1, "_remark": 2, "torch_dtype": "float32", "drop": 0.1, "": 1}
    content |= {"scan": {"states": 3, "odd": {"x": 1}}, "all": {"x": 1}, "scan.states": 9}
    fields = Fields(content)
    fields.count("width")
    fields.count("scan.states")
    fields.unset("scan")
    assert fields.unknown(("drop", "all")) == ("new", "", "scan.odd", "scan.states")


def test_long_lists_and_strange_names_stay_one_line():
    names = [f"field_{i}" for i in range(20)]
    assert "field_7 and 12 more" in unknown_text(names)
    for text in (unknown_text(["a\nb", "\ud800", "x" * 500]),):
        assert len(text) < 300
        assert text.isprintable()
    with pytest.raises(FieldError) as error:
        Fields({"a": "\n\ud800" * 500}).count("a")
    assert len(str(error.value)) < 200
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "content",
    [
        {"rope_theta": 500.0},
        {"rope_theta": 500.0, "rope_scaling": None},
        {"rope_theta": 500, "rope_scaling": {"type": "default"}},
        {"rope_parameters": {"rope_theta": 500.0, "rope_type": "default"}},
        {"rope_parameters": {"rope_theta": 500.0}, "rope_theta": 500.0},
        {"rope_parameters": {"rope_theta": 500.0, "partial_rotary_factor": 1.0}},
        {"rope_theta": 500.0, "rope_parameters": {}},
        {"rope_parameters": None, "rope_theta": 500.0},
        {"rope_theta": None, "rope_parameters": {"rope_theta": 500.0}},
    ],
)
def test_a_rotary_base_is_found_in_both_spellings(content):
    fields = Fields(content)
    assert rotary_base(fields, absent=10000.0) == 500.0
    assert fields.unknown(()) == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, 'rope_scaling.type is "linear"'),
        ({"rope_scaling": {"rope_type": "yarn"}}, 'rope_scaling.rope_type is "yarn"'),
        ({"rope_parameters": {"rope_type": "llama3"}}, 'rope_parameters.rope_type is "llama3"'),
        ({"rope_parameters": {"factor": 8.0}}, "rope_parameters.factor is 8.0; it is not computed"),
        (
            {"rope_parameters": {"full_attention": {"rope_theta": 1e4}}},
            "rope_parameters.full_attention is {",
        ),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor is 0.5"),
        ({"partial_rotary_factor": 0.25}, "partial_rotary_factor is 0.25; only 1.0"),
        (
            {"rope_theta": 1e4, "rope_parameters": {"rope_theta": 5e5}},
            "rope_parameters.rope_theta is 500000.0; rope_theta is 10000.0; keep one",
        ),
        ({"rope_scaling": "linear"}, 'rope_scaling is "linear"; it must be an object'),
        ({"rope_theta": None}, "rope_theta is null; it must be a number above 0"),
        ({"rope_theta": -1}, "rope_theta is -1; it must be a number above 0"),
        ({"rope_parameters": {"rope_theta": "x"}}, 'rope_parameters.rope_theta is "x"'),
    ],
)
def test_rotary_positions_that_are_not_computed_are_refused(content, message):
    with pytest.raises(FieldError) as error:
        rotary_base(Fields(content), absent=10000.0)
    assert message in str(error.value)


BANDS = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
SCALED = Rotary(base=500.0, factor=8.0, bands=(64, 1.0, 4.0))
YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, Rotary(base=10000.0)),
        ({"rope_theta": 500, "rope_scaling": {"type": "linear", "factor": 2}},
         Rotary(500.0, 1.0, 2.0)),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2, "rope_theta": 500}},
         Rotary(500.0, 1.0, 2.0)),
        ({"rope_theta": 500, "max_position_embeddings": 64,
          "rope_scaling": {"rope_type": "llama3", **BANDS}}, SCALED),
        ({"max_position_embeddings": 128, "rope_parameters": {
            "rope_theta": 500, "rope_type": "llama3", "original_max_position_embeddings": 64,
            **BANDS}}, SCALED),
        ({"original_max_position_embeddings": 64, "rope_theta": 500,
          "rope_scaling": {"rope_type": "llama3", **BANDS}}, SCALED),
        ({"rope_theta": 500, "max_position_embeddings": 64,
          "rope_scaling": {"type": "dynamic", "factor": 2}}, Rotary(500.0, longest=64)),
        ({"rope_theta": 500, "rope_scaling": YARN},
         Rotary(500.0, factor=4.0, ramp=(64, 32.0, 1.0, True), scale=1 + math.log(4) / 10)),
        ({"rope_theta": 500, "rope_scaling": {**YARN, "mscale": 2, "mscale_all_dim": 0.5}},
         Rotary(500.0, factor=4.0, ramp=(64, 32.0, 1.0, True),
                scale=(1 + 0.2 * math.log(4)) / (1 + 0.05 * math.log(4)))),
        ({"rope_theta": 500, "rope_scaling": {
            **YARN, "mscale": 2, "beta_fast": 0, "beta_slow": None, "attention_factor": None}},
         Rotary(500.0, factor=4.0, ramp=(64, 32.0, 1.0, True), scale=1 + math.log(4) / 10)),
        ({"rope_theta": 500, "rope_scaling": {
            **YARN, "attention_factor": 1.5, "beta_fast": 8, "beta_slow": 2, "truncate": False}},
         Rotary(500.0, factor=4.0, ramp=(64, 8.0, 2.0, False), scale=1.5)),
    ],
)  # fmt: skip
def test_scaled_rotary_positions_are_read_in_both_spellings(content, expected):
    fields = Fields(content)
    assert rotary(fields) == expected
    assert fields.unknown(()) in ((), ("max_position_embeddings",))


@pytest.mark.parametrize(
    ("content", "share"),
    [
        ({}, 0.25),
        ({"rotary_pct": 0.5}, 0.5),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, 0.5),
        ({"rotary_pct": 1.0, "rotary_emb_base": 10000, "rope_theta": 10000.0}, 1.0),
    ],
)
def test_the_share_of_a_head_that_turns_is_read_in_both_spellings(content, share):
    fields = Fields(content)
    assert rotary(fields, share=0.25) == Rotary(10000.0, share)
    assert fields.unknown(()) == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"rope_scaling": {"type": "longrope", "factor": 2.0}},
         'rope_scaling.type is "longrope"; it is not known here, where default, linear, dynamic, '
         "llama3, yarn are; embeddings that the model's own code computes are a model of a run "
         "too, as NAME=embeddings:DIR"),
        ({"rope_scaling": {"type": "dynamic"}}, "rope_scaling.factor is missing; add it"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2}}, "max_position_embeddings is missing"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2, "alpha": 3}}, "alpha is 3; it is not"),
        ({"rope_scaling": {**YARN, "factor": 0.5}}, "factor is 0.5; it must be 1 or above"),
        ({"rope_scaling": {**YARN, "beta_fast": 1}}, "beta_fast is 1; it must be above beta_slow"),
        ({"rope_scaling": {**YARN, "beta_slow": -0.5}}, "beta_slow is -0.5; it must be a number"),
        ({"rope_theta": 1, "rope_scaling": YARN}, "rope_theta is 1: YaRN takes another base"),
        ({"rope_scaling": {**YARN, "truncate": None}}, "truncate is null; it must be true or"),
        ({"rope_scaling": {"type": "yarn", "factor": 2}}, "max_position_embeddings is missing"),
        ({"rope_scaling": {"type": "linear"}}, "rope_scaling.factor is missing; add it"),
        ({"rope_scaling": {"type": "linear", "factor": 0}}, "rope_scaling.factor is 0; it must"),
        ({"rope_scaling": {"type": "linear", "factor": 2, "beta_fast": 3}}, "beta_fast is 3; it"),
        ({"rope_scaling": {"type": "llama3", **BANDS}}, "max_position_embeddings is missing"),
        ({"max_position_embeddings": 64,
          "rope_scaling": {"type": "llama3", **BANDS, "high_freq_factor": 1.0}},
         "high_freq_factor is 1.0; it must be above low_freq_factor, 1"),
        ({"rope_parameters": {"type": "linear", "factor": 2},
          "rope_scaling": {"type": "linear", "factor": 3}},
         "rope_parameters states another scaling; keep one"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5; only 1.0"),
    ],
)  # fmt: skip
def test_scalings_that_are_not_computed_are_refused_by_name(content, message):
    with pytest.raises(FieldError) as error:
        rotary(Fields(content))
    assert message in str(error.value)


@pytest.mark.parametrize("value", [None, "a", ["a"], ["a", "c"], ["a", ["b"]], [1, 2], {"a": 1}])
def test_what_is_no_list_of_names_is_refused(value):
    with pytest.raises(FieldError, match=r'kinds is .*; it must be a list of 2, each "a" or "b"'):
        Fields({"kinds": value}).choices("kinds", among=("a", "b"), length=2)
    assert Fields({"kinds": ["b", "a"]}).choices("kinds", among="ab", length=2) == ("b", "a")


def test_many_allowed_values_are_cut():
    with pytest.raises(FieldError, match=r'"7" or one of 12 more$'):
        Fields({"act": "x"}).choice("act", among=map(str, range(20)))


def test_without_a_base_positions_are_not_rotary():
    assert rotary_base(Fields({}), absent=None) is None
    assert rotary_base(Fields({}), absent=10000.0) == 10000.0


@given(
    content=st.dictionaries(
        st.sampled_from(["rope_theta", "rope_scaling", "rope_parameters", "partial_rotary_factor"]),
        JSON
        | st.dictionaries(
            st.sampled_from(["rope_theta", "type", "rope_type", *BANDS]),
            JSON | st.sampled_from(["linear", "llama3", "default", 1.0, 2.0]),
        ),
    )
)
def test_any_rotary_fields_are_read_or_refused(content):
    try:
        base = rotary(Fields(content)).base
    except FieldError as error:
        assert str(error).startswith("config.json: ")
        assert str(error).isprintable()
    else:
        assert 0 < base <= 1e12


@given(value=JSON, content=st.dictionaries(st.text(), JSON))
def test_any_value_is_read_or_refused(value, content):
    fields = Fields({**content, "x": value})
    reads = (
        lambda: fields.count("x"),
        lambda: fields.number("x"),
        lambda: fields.flag("x"),
        lambda: fields.choice("x", among=("a",)),
        lambda: fields.counts("x"),
        lambda: fields.divisor("x", of="y", whole=12),
        lambda: fields.text("x"),
        lambda: fields.object("x"),
        lambda: fields.check({"x": 1}),
    )
    for read in reads:
        try:
            read()
        except FieldError as error:
            assert str(error).isprintable()
            assert len(str(error)) < 300
    assert set(fields.unknown(())) <= set(content)
