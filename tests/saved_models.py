"""Tiny checkpoints of random weights that transformers saves, and what it computes with them.

`SAVED` are folders with a tokenizer, as somebody who brings a model has them. `check_agrees`
compares a family with any class of transformers, without a tokenizer's files.
"""

import dataclasses
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import tokenizers
import transformers

from model_ports import catalog
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.pooling import POOLINGS
from model_ports.port import Port
from model_ports.running.embedder import forward
from model_ports.running.records import collate, tokenize

_SIZES = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
}  # fmt: skip
_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_ESM = (
    "<cls> <pad> <eos> <unk> L A G V S E R T I D P K Q N F Y M H W C X B U Z O . - <null_1> <mask>"
)


def random_records(count: int, longest: int) -> list[str]:
    """Returns records of 1 to `longest` letters A, C, G and T."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, longest + 1, count)
    return ["".join(generator.choice(list("ACGT"), length)) for length in lengths]


def kmer_words(k: int) -> list[str]:
    """Returns a vocabulary like DNABERT's: special tokens and all k-mers."""
    return [*_SPECIALS, *("".join(word) for word in itertools.product("ATCG", repeat=k))]


def write_wordpiece(folder: Path, words: Sequence[str], **options: Any) -> None:
    """Writes vocab.txt, and tokenizer_config.json where options are given."""
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    if options:
        (folder / "tokenizer_config.json").write_text(json.dumps(options))


def write_esm_vocabulary(folder: Path) -> None:
    """Writes ESM's vocab.txt of single letters, as ESM-2's repositories have it."""
    options = {"tokenizer_class": "EsmTokenizer", "model_max_length": 510}
    write_wordpiece(folder, _ESM.split(), **options)


def trained_bpe() -> tokenizers.ByteLevelBPETokenizer:
    """Returns a byte-level BPE tokenizer trained on random records."""
    tokenizer = tokenizers.ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        random_records(50, 300), 300, special_tokens=["<|endoftext|>"], show_progress=False
    )
    return tokenizer


def write_bpe(folder: Path) -> None:
    """Writes vocab.json and merges.txt, as GPT-2's repositories have them."""
    trained_bpe().save_model(str(folder))


def write_json_bpe(folder: Path) -> None:
    """Writes a tokenizer.json of BPE with [CLS] and [SEP] around a record, as GENA-LM's."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=200, special_tokens=_SPECIALS)
    tokenizer.train_from_iterator(random_records(50, 300), trainer)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    _save_fast(tokenizer, folder, "[PAD]")


def write_characters(folder: Path) -> None:
    """Writes a tokenizer.json of single letters."""
    words = {word: i for i, word in enumerate([*_SPECIALS, *"ACGTN"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    _save_fast(tokenizer, folder, "[PAD]")


def _save_fast(tokenizer: tokenizers.Tokenizer, folder: Path, pad: str) -> None:
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=pad, unk_token="[UNK]", model_max_length=400
    ).save_pretrained(folder)


def _torch() -> Any:
    """Returns PyTorch; skips the test where it is not installed."""
    return pytest.importorskip("torch", reason="the extra 'convert' is not installed")


def save(model: Callable[[], Any], tokenizer: Callable[[Path], None], folder: Path) -> Path:
    """Saves a model of seeded weights and its tokenizer; returns the folder."""
    _torch().manual_seed(0)
    folder.mkdir(parents=True)
    model().save_pretrained(folder)
    tokenizer(folder)
    return folder


def bert(kind: str = "BertForSequenceClassification", rows: int = 200) -> Any:
    """Returns a BERT, fine-tuned for classification unless another class is named."""
    config = transformers.BertConfig(vocab_size=rows, max_position_embeddings=512, **_SIZES)
    return getattr(transformers, kind)(config)


def esm(position: str, kind: str = "EsmForSequenceClassification") -> Any:
    """Returns an ESM with absolute or rotary positions."""
    config = transformers.EsmConfig(
        vocab_size=33, max_position_embeddings=514, pad_token_id=1, mask_token_id=32,
        position_embedding_type=position, token_dropout=True, **_SIZES,
    )  # fmt: skip
    return getattr(transformers, kind)(config)


def gpt2() -> Any:
    """Returns a GPT-2 with its language model's head."""
    config = transformers.GPT2Config(
        vocab_size=trained_bpe().get_vocab_size(), n_embd=32, n_layer=2, n_head=4, n_positions=256
    )
    return transformers.GPT2LMHeadModel(config)


def llama(kind: str = "Llama", **options: Any) -> Any:
    """Returns a decoder of the kind, such as Llama or Mistral, with its head."""
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=300, num_key_value_heads=2, max_position_embeddings=400, **_SIZES, **options
    )
    return getattr(transformers, f"{kind}ForCausalLM")(config)


# The model types that a folder is described of, with tokenizers of every kind.
SAVED: dict[str, tuple[Callable[[], Any], Callable[[Path], None]]] = {
    "bert-json": (bert, write_json_bpe),
    "bert-characters": (lambda: bert("BertModel", 10), write_characters),
    "dnabert": (
        lambda: bert("BertForMaskedLM", 69),
        lambda folder: write_wordpiece(folder, kmer_words(3), do_lower_case=False),
    ),
    "esm-rotary": (lambda: esm("rotary"), write_esm_vocabulary),
    "esm-absolute": (lambda: esm("absolute", "EsmModel"), write_esm_vocabulary),
    "gpt2": (gpt2, write_bpe),
    "llama": (llama, write_json_bpe),
    "mistral": (lambda: llama("Mistral", sliding_window=24), write_json_bpe),
}


def reference(folder: Path, texts: Sequence[str], limit: int | None) -> np.ndarray:
    """Returns transformers' mean of last_hidden_state over the tokens of each text, alone [N, D].

    Args:
        folder: The saved model.
        texts: What its tokenizer is given.
        limit: Records are cut to this many tokens.
    """
    torch, tokenizer = _torch(), transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    rows = []
    with torch.no_grad():
        for text in texts:
            inputs = tokenizer(
                text, truncation=limit is not None, max_length=limit, return_tensors="pt"
            )
            inputs.pop("token_type_ids", None)
            rows.append(model(**inputs).last_hidden_state[0].mean(0).numpy())
    return np.stack(rows)


# The token ids of letters, away from those that configs give to special tokens.
TOKENIZER = {
    "kind": "character",
    "letters": {"A": 5, "C": 6, "G": 7, "T": 8},
    "unknown": 9,
    "pad": 1,
}
VOCABULARY = 11
RECORDS = ("ACGTTAGCCATTGACAGTNACGATTACA", "ACG", "T", "GATTACAGATTACAGGG", "CCCCCCCCCCCC")


def random_model(cls: Any, config: Any) -> Any:
    """Returns a PyTorch model of a config, all of its parameters drawn.

    Those of norms and biases are too, so that none is at the value that it has before training.
    """
    torch = _torch()
    torch.manual_seed(0)
    config._attn_implementation = "eager"
    model = cls(config).eval()
    with torch.no_grad():
        for parameter in filter(lambda each: each.requires_grad, model.parameters()):
            spread = 0.3 if parameter.dim() == 1 else 0.4
            parameter.add_(torch.randn_like(parameter), alpha=spread)
    return model


def stock_entry(family: str) -> catalog.Entry:
    """Returns a catalog entry of a checkpoint that only its family is known of."""
    return dataclasses.replace(
        catalog.get("GROVER"),
        id="stock",
        family=family,
        tokenizer=TOKENIZER,
        presets={"corrected": {"max_tokens": None, "pooling": "mean", "batching": "masked"}},
        config={},
        unstated={},
    )


def stock_port(family: str, folder: Path, dtype: str = "float32") -> Port:
    """Returns the port of a folder that transformers saved."""
    return load_port(plan_checkpoint(stock_entry(family), folder), dtype)


def stock_states(model: Any, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns transformers' hidden states of all layers, [layers + 1, B, L, D]."""
    torch = _torch()
    with torch.no_grad():
        output = model.base_model(
            input_ids=torch.tensor(ids, dtype=torch.long),
            attention_mask=torch.tensor(mask, dtype=torch.long),
            output_hidden_states=True,
        )
    states = [state.numpy() for state in output.hidden_states]
    return np.stack([*states[:-1], output.last_hidden_state.numpy()])


def check_agrees(family: str, model: Any, folder: Path, records: tuple[str, ...] = RECORDS) -> Port:
    """Saves a model and compares the port of the folder with it; returns the port.

    Compared are the hidden states of all layers and the means of the last one over the tokens of
    each record, of a padded batch and of the first record alone.
    """
    model.save_pretrained(folder)
    port = stock_port(family, folder)
    assert port.unknown_fields == ()
    encoded = tokenize(port, records)
    taps = (*range(port.config.layers), -1)
    run = jax.jit(lambda state, inputs: forward(port, state, inputs, taps))
    for rows in (encoded, encoded[:1]):
        inputs = collate(port, rows, max(map(len, rows)) + 2 * (len(rows) > 1))
        found = run(port.state, inputs)
        mask = inputs["attention_mask"]
        expected = stock_states(model, inputs["input_ids"], mask)
        for tap, state in zip(taps, expected, strict=True):
            _check_close(np.asarray(found.states[tap])[mask], state[mask], f"hidden state {tap}")
        weights = mask[..., None].astype(np.float64)
        mean = (expected[-1] * weights).sum(1) / weights.sum(1)
        pooled = POOLINGS["mean"](found.states[-1], found.rows(-1))
        for row, vector in enumerate(np.asarray(pooled)):
            _check_close(vector, mean[row], f"record {row} of {len(rows)}")
    return port


def _check_close(found: np.ndarray, expected: np.ndarray, what: str) -> None:
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale, err_msg=what)
