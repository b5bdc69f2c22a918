"""What each family does with config.json: every field is read, fixed, unused, or named."""

import copy
import json
import math
import shutil

import pytest
from golden_ports import FIXTURES, FOLDERS, GOLDEN
from hypothesis import given, settings
from hypothesis import strategies as st

from model_ports import catalog
from model_ports.contract.family import family
from model_ports.contract.fields import COMMON_FIXED, COMMON_UNUSED, Stated
from model_ports.loading.planned import abstract_model, family_config
from model_ports.loading.tensors import CheckpointError, read_config
from model_ports.verification.verify import verify

FAMILIES = sorted({catalog.get(model_id).family for model_id in FOLDERS})
# The first model of each family, and one of each other kind of config.json that a family reads.
KINDS = (
    *{catalog.get(model_id).family: model_id for model_id in reversed(FOLDERS)}.values(),
    "MutBERT", "deepgene", "gena-lm-bert-base", "space", "gpt2_gene_v1", "METAGENE-1",
    "caduceus-ps_seqlen-131k_d_model-256_n_layer-16", "GenomeOcean-500M", "genomics-fm",
    "nucleotide-transformer-v2-50m-multi-species",
    "PlantCAD2-Small-l24-d0768", "GENERanno-eukaryote-0.5b-base",
    "NTv3_8M_pre", "flashzoi-replicate-0",
)  # fmt: skip
# Read by some families, though the ids of special tokens and names of models mostly are not.
READ = {
    "bert": {"model_type"},
    "esm": {"pad_token_id"},
    "enformer": {"model_type"},
    "gpn": {"model_type"},
    "gpt2": {"model_type"},
    "llama": {"model_type"},
    "lucaone": {"pad_token_id"},
    "mamba2": {"pad_token_id"},
    "ntv3": {"model_type"},
}
# Of these the authors' configuration class has a default for every field.
DEFAULTED = ("borzoi", "ntv3")
DAMAGE = (
    -1, 0, "12", 12.5, True, None, math.nan, math.inf, -math.inf, 10**12, 10**400, [], [1], [-1],
    {}, {"a": {"b": 1}}, "x" * 500, "\n\ud800",
)  # fmt: skip
# What of it is understood, by field: null stands for a default, an id may be 0, and so on.
UNDERSTOOD = {
    **dict.fromkeys(("mask_token_id", "pad_token_id", "config.attn_layer_offset"), (0,)),
    **dict.fromkeys(("config.expert_layer_offset", "num_species_special_tokens"), (0,)),
    **dict.fromkeys(("rope_theta", "rotary_emb_base"), (12.5, 10**12)),
    "ffn_dim_multiplier": (12.5,),
    **dict.fromkeys(("activation_freq", "rotary_emb_scaling_factor"), (12.5,)),
    **dict.fromkeys(("head_dim", "key_size", "num_key_value_heads", "n_inner"), (None,)),
    **dict.fromkeys(("mlp_hidden_size", "sliding_window", "n_kv_heads"), (None,)),
    **dict.fromkeys(("rope_scaling", "rope_parameters"), (None, {})),
    **dict.fromkeys(("rcps", "pre_layer_norm", "last_layer_norm", "token_dropout"), (True,)),
    **dict.fromkeys(("bias", "layer_norm_with_affine"), (True,)),
    **dict.fromkeys(("slim", "depthwise"), (True,)),
    "use_interpolated_rotary_pos_emb": (True,),
    **dict.fromkeys(("attention_bias", "mlp_bias"), (True, None)),
    **dict.fromkeys(("emb_layer_norm_before", "scale_attn_by_inverse_layer_idx"), (True, None)),
    **dict.fromkeys(("layer_types", "embedding_size"), (None,)),
}


def flat(content, path=""):
    """The fields of a config.json by dotted name, those of its objects too."""
    for name, value in content.items():
        yield f"{path}{name}", value
        if isinstance(value, dict):
            yield from flat(value, f"{path}{name}.")


def changed(content, name, value):
    """A copy of a config.json with another value under a dotted name."""
    content = copy.deepcopy(content)
    *objects, last = name.split(".")
    inside = content
    for part in objects:
        inside = inside.setdefault(part, {})
    inside[last] = value
    return content


def without(content, name):
    """A copy of a config.json that lacks a field."""
    content = copy.deepcopy(content)
    *objects, last = name.split(".")
    inside = content
    for part in objects:
        inside = inside.get(part, {})
    inside.pop(last, None)
    return content


def fields_read(model_id):
    """The fields of a fixture's config.json that the computation depends on."""
    entry = catalog.get(model_id)
    kind = family(entry.family)
    known = {*COMMON_UNUSED, *kind.UNUSED, *COMMON_FIXED, *kind.FIXED} - READ.get(
        entry.family, set()
    )
    names = [name for name, _ in flat(read_config(FOLDERS[model_id]))]
    objects = {name.rpartition(".")[0] for name in names}
    unread = ("complement_map.", "ssm_cfg.dt", "output_heads.", "tokenizer.", "tokenizer_config.",
              "species_to_token_id.<")  # fmt: skip
    return [
        name
        for name in names
        if name not in known
        and name not in objects
        and not name.rpartition(".")[2].startswith("_")
        and not any(f"{each}." in f"{name}." for each in known - {"config"})
        and not name.startswith(unread)
    ]


def checked(error, *names):
    text = str(error)
    assert "config.json: " in text
    assert text.isprintable()  # one line, which any terminal shows
    assert len(text) < 400
    assert not names or any(name in text for name in names)


@pytest.mark.parametrize("model_id", FOLDERS)
def test_every_field_of_every_fixture_is_known(model_id):
    entry = catalog.get(model_id)
    for content in (
        entry.config,
        read_config(FOLDERS[model_id]),
        # What full_config.json leaves out is that of the catalog.
        {**entry.config, **json.loads((FOLDERS[model_id] / "full_config.json").read_text())},
    ):
        _, unknown = family_config(entry, content)
        assert unknown == ()


@pytest.mark.parametrize("model_id", KINDS)
def test_a_new_field_is_named(model_id):
    content = {**read_config(FOLDERS[model_id]), "rotary_twist": 0.5}
    _, unknown = family_config(catalog.get(model_id), content)
    assert unknown == ("rotary_twist",)


@pytest.mark.parametrize("model_id", KINDS)
def test_damaged_fields_are_refused(model_id):
    entry, content = catalog.get(model_id), read_config(FOLDERS[model_id])
    names = fields_read(model_id)
    assert names
    for name in names:
        original = dict(flat(content))[name]
        for value in [each for each in DAMAGE if each != original]:
            understood = any(
                value is each
                or (value == each and isinstance(value, bool) == isinstance(each, bool))
                for each in UNDERSTOOD.get(name, ())
            )
            try:
                config, _ = family_config(entry, changed(content, name, value))
            except CheckpointError as error:
                assert not (understood and value is not None and value != 0), (name, value, error)
                checked(error)
            else:
                assert understood, (name, value)
                abstract_model(entry.family, config)


@pytest.mark.parametrize("model_id", KINDS)
def test_a_field_that_is_missing_is_named_or_has_the_originals_default(model_id):
    entry, content = catalog.get(model_id), read_config(FOLDERS[model_id])
    refused = 0
    for name in fields_read(model_id):
        try:
            family_config(entry, without(content, name))
        except CheckpointError as error:
            checked(error, name)
            refused += 1
    assert refused >= 4 or catalog.get(model_id).family in DEFAULTED


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS, lambda each: st.lists(each) | st.dictionaries(st.text(max_size=8), each), max_leaves=5
)


@given(data=st.data())
@settings(max_examples=300)
def test_any_config_is_read_or_refused(data):
    model_id = data.draw(st.sampled_from(KINDS))
    entry, content = catalog.get(model_id), read_config(FOLDERS[model_id])
    kind = family(entry.family)
    names = [*fields_read(model_id), *kind.FIXED, *COMMON_FIXED, "rope_parameters", "rope_scaling"]
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(names))
        content = changed(without(content, name), name, data.draw(JSON))
    try:
        family_config(entry, content)
    except CheckpointError as error:
        checked(error)


@pytest.mark.parametrize("name", ["ssm_cfg", "config", "complement_map"])
@pytest.mark.parametrize("value", DAMAGE)
def test_damaged_objects_are_refused(name, value):
    found = [m for m in KINDS if name in read_config(FOLDERS[m])]
    assert found
    for model_id in found:
        content = {**read_config(FOLDERS[model_id]), name: value}
        if name == "complement_map" and not content["rcps"]:
            continue
        with pytest.raises(CheckpointError) as error:
            family_config(catalog.get(model_id), content)
        checked(error.value, name)


def other(value):
    """A value that a fixed field is not computed with."""
    values = value.value if isinstance(value, Stated) else value
    first = values[0] if isinstance(values, tuple) else values
    if isinstance(first, bool):
        return not first
    if isinstance(first, int | float):
        return first + 1
    return {str: "other", list: [7], dict: {"a": 1}}.get(type(first), 7)


@pytest.mark.parametrize("name", FAMILIES)
def test_other_values_of_fixed_fields_are_refused_by_name(name):
    kind = family(name)
    model_id = next(m for m in KINDS if catalog.get(m).family == name)
    entry, content = catalog.get(model_id), read_config(FOLDERS[model_id])
    for field, value in {**COMMON_FIXED, **kind.FIXED}.items():
        with pytest.raises(CheckpointError) as error:
            family_config(entry, changed(content, field, other(value)))
        checked(error.value, f"config.json: {field} is ")
        lacking = without(content, field) if field in dict(flat(content)) else content
        if isinstance(value, Stated):
            with pytest.raises(CheckpointError, match=f"{field} is missing; it must be"):
                family_config(entry, lacking)
        else:
            assert family_config(entry, lacking) == family_config(entry, content)


def resaved(content, folder):
    """The config.json that transformers makes of another one; None where it does not know it."""
    transformers = pytest.importorskip("transformers")
    kind = content.get("model_type") or ("esm" if "add_bias_fnn" in content else None)
    if kind not in transformers.CONFIG_MAPPING:
        return None
    transformers.CONFIG_MAPPING[kind].from_dict(copy.deepcopy(content)).save_pretrained(folder)
    return read_config(folder)


RESAVED = [m for m in FIXTURES if catalog.get(m).family in
           ("bert", "esm", "gpt2", "llama", "mamba2", "mosaic_bert")]  # fmt: skip


@pytest.mark.parametrize("model_id", RESAVED)
def test_a_config_that_transformers_saved_again_is_the_same(model_id, tmp_path):
    entry, content = catalog.get(model_id), read_config(FOLDERS[model_id])
    again = resaved(content, tmp_path)
    if again is None:
        assert catalog.get(model_id).family in ("gpt2", "mosaic_bert")  # no type is stated
        pytest.skip("transformers does not know its type")
    assert again["transformers_version"] != content.get("transformers_version")
    assert family_config(entry, again) == family_config(entry, content)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model_id",
    ["GROVER", "MutBERT", "deepgene", "agro-nucleotide-transformer-1b", "gpt2_gene_v1",
     "nucleotide-transformer-v2-50m-multi-species", "GenomeOcean-500M", "BioFM-265M",
     "GENERator-eukaryote-1.2b-base", "eccdnamamba_weights", "DNABERT-S"],
)  # fmt: skip
def test_a_checkpoint_that_transformers_saved_again_agrees_with_the_original(model_id, tmp_path):
    shutil.copytree(GOLDEN / model_id, tmp_path, dirs_exist_ok=True)
    assert resaved(read_config(FOLDERS[model_id]), tmp_path)
    assert verify(tmp_path).passed


def test_both_spellings_of_gpt2():
    entry, content = catalog.get("gpt2_gene_v1"), read_config(GOLDEN / "gpt2_gene_v1")
    names = {
        "n_embd": "hidden_size",
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "n_positions": "max_position_embeddings",
    }
    spelled = {names.get(name, name): value for name, value in content.items()}
    assert family_config(entry, spelled) == family_config(entry, content)
    for name, standard in names.items():
        with pytest.raises(CheckpointError, match=f"{standard} is 8; {name} is "):
            family_config(entry, {**content, standard: 8})


def test_complements_of_a_vocabulary_are_whole():
    entry = catalog.get("caduceus-ps_seqlen-131k_d_model-256_n_layer-16")
    content = read_config(GOLDEN / entry.id)
    config, _ = family_config(entry, {**content, "vocab_size": 12})
    assert config.complement == (0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11, 12, 13, 14, 15)
    good = content["complement_map"]
    lacking = {name: value for name, value in good.items() if name != "9"}
    for bad in (
        lacking,
        {**good, "7": 16},
        {**good, "7": -1},
        {**good, "x": 1},
        {**good, "7": "8"},
    ):
        with pytest.raises(
            CheckpointError, match=r"complement_map is .*; it must name an id below 16"
        ):
            family_config(entry, {**content, "complement_map": bad})


@pytest.mark.parametrize(
    ("model_id", "changes", "message"),
    [
        ("GROVER", {"num_attention_heads": 5}, "heads is 5; it must divide hidden_size"),
        ("METAGENE-1", {"num_key_value_heads": 3}, "heads is 3; it must divide num_"),
        ("METAGENE-1", {"head_dim": 7}, "heads are 7 wide; rotary positions take pairs"),
        ("METAGENE-1", {"sliding_window": 16}, "sliding_window is 16; only false or null is"),
        ("GROVER", {"embedding_size": 16}, "embedding_size is 16; only that of hidden_size, "),
        ("Omni-DNA-1B", {"n_kv_heads": 1}, "n_kv_heads is 1; only that of n_heads, 4"),
        ("space", {"topk": 5}, "topk is 5; it must be a whole number from 1 to 4"),
        ("evo-1-131k-base", {"attn_layer_idxs": [2]}, "hyena_layer_idxs is [0, 2]; together with"),
        ("hyenadna-medium-160k-seqlen-hf", {"emb_dim": 4}, "emb_dim is 4; it must be odd"),
        ("agro-nucleotide-transformer-1b", {"position_embedding_type": "relative"}, '"relative"'),
        ("eccdnamamba_weights", {"intermediate_size": None}, "intermediate_size is null; it must"),
        ("evo-1-131k-base", {"num_layers": 4}, "num_layers is 4; the indices name 3 layers"),
        ("evo-1-131k-base", {"num_filters": 8}, "num_filters is 8; only that of hidden_size, 24"),
        ("enformer-official-rough", {"dim_divisible_by": 24}, "it must be at most dim / 2, 12"),
        ("enformer-official-rough", {"dim": 20}, "dim is 20; it must be even, and dim / heads a"),
        ("nucleotide-transformer-v2-50m-multi-species", {"rope_scaling": {"type": "yarn"}}, "yarn"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_each_other_are_refused(model_id, changes, message):
    content = {**read_config(FOLDERS[model_id]), **changes}
    with pytest.raises(CheckpointError) as error:
        family_config(catalog.get(model_id), content)
    checked(error.value, message)


def test_widths_that_the_originals_round_or_assume():
    entry, content = catalog.get("eccdnamamba_weights"), read_config(GOLDEN / "eccdnamamba_weights")
    assert family_config(entry, {**content, "d_model": 48})[0].feed_forward == 256
    assert family_config(entry, {**content, "intermediate_size": 130})[0].feed_forward == 256
    entry, content = catalog.get("Omni-DNA-1B"), read_config(GOLDEN / "Omni-DNA-1B")
    assert family_config(entry, {**content, "embedding_size": None})[0].vocab_size == 59
    assert family_config(entry, without(content, "embedding_size"))[0].vocab_size == 50304


def test_what_a_mistral_lacks_is_transformers_default():
    """MistralConfig: 8 heads of keys and values, a window of 4096, and null for as many heads."""
    entry, content = catalog.get("GenomeOcean-500M"), read_config(GOLDEN / "GenomeOcean-500M")
    content |= {"num_attention_heads": 16, "head_dim": 2}
    bare = {k: v for k, v in content.items() if k not in ("num_key_value_heads", "sliding_window")}
    config, _ = family_config(entry, bare)
    assert (config.key_value_heads, set(config.windows)) == (8, {4096})
    null = {**content, "num_key_value_heads": None, "sliding_window": None}
    config, _ = family_config(entry, null)
    assert (config.key_value_heads, set(config.windows)) == (16, {None})
    config, _ = family_config(entry, {**bare, "model_type": "llama"})
    assert (config.key_value_heads, set(config.windows)) == (16, {None})
