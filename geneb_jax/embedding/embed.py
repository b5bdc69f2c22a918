"""Embeddings of anybody's sequences: the Python functions behind `geneb-jax embed`."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path

import numpy as np
from absl import logging

from geneb_jax.config import (
    LETTERS,
    DataSettings,
    EmbeddingSettings,
    Letters,
    Settings,
)
from geneb_jax.config_checks import OF_PRESET, directory, local_path
from geneb_jax.config_checks import window as parse_window
from geneb_jax.embedding.models import find_source, ignored_fields
from geneb_jax.embedding.unseen import say_unseen_sequences
from geneb_jax.tasks.letters import prepare
from model_ports.catalog import CATALOG_DTYPE, PresetName
from model_ports.contract.family import Tap, View


def embed(
    model: str,
    sequences: Iterable[str],
    *,
    checkpoints_dir: str | Path | None = None,
    catalog: str | Path | None = None,
    tap: Tap = OF_PRESET,
    pooling: str = OF_PRESET,
    preset: PresetName = "corrected",
    dtype: str = CATALOG_DTYPE,
    letters: Letters = "as-is",
    window: str = "model",
) -> np.ndarray:
    """Embeds sequences: `geneb_jax.embed(model, sequences)`.

    Args:
        model: A model id, `ID:random`, `ID:random:tiny`, or `kmer-1` .. `kmer-6`; with `:both`
            behind it, the mean over both strands.
        sequences: N texts in a list, a pandas Series, a NumPy array [N], or from a generator.
        checkpoints_dir: Holds one folder a model id; None: the pinned checkpoint from the hub.
        catalog: Holds a .json file for each model of your own, whose ids `model` may name then;
            None: there is none.
        tap: 'preset' for the preset's hidden state, -1 the final one, 0 the embedding output, i
            the output of block i, or a name such as Evo 2's 'mlp29'.
        pooling: A name of `POOLINGS`, or 'preset' for the preset's, which differs from model to
            model: the catalog states it, and that of an `hf:` checkpoint is 'mean'. The log says
            at level INFO which one was taken; `embed_views` returns it.
        preset: 'corrected' or 'published'.
        dtype: 'float32' or 'bfloat16', of parameters and computation, or 'model': the one that
            the catalog has for the model.
        letters: What the model is given: the sequences 'as-is', in 'upper' case, or as 'dna' (in
            upper case, U as T).
        window: Cuts longer sequences into windows, whose embeddings are averaged, weighted by
            tokens: 'LETTERS/STRIDE', such as '1024/512', 'LETTERS', with half of it as stride,
            'none', or 'model': what the catalog states.

    Returns:
        float32 [N, D].

    Raises:
        ValueError: The model cannot be loaded or has no such view (k-mers have no hidden states,
            windows and precisions to choose among), there is no such folder, or a
            sequence is no text, or empty, or too long; it is named by its index from 0.
    """
    options = {
        "checkpoints_dir": checkpoints_dir,
        "catalog": catalog,
        "preset": preset,
        "dtype": dtype,
        "letters": letters,
        "window": window,
    }
    views = embed_views(model, sequences, taps=(tap,), poolings=(pooling,), **options)
    (embeddings,) = views.values()
    return embeddings


def embed_views(
    model: str,
    sequences: Iterable[str],
    *,
    checkpoints_dir: str | Path | None = None,
    catalog: str | Path | None = None,
    taps: Sequence[Tap] = (OF_PRESET,),
    poolings: Sequence[str] = (OF_PRESET,),
    preset: PresetName = "corrected",
    dtype: str = CATALOG_DTYPE,
    letters: Letters = "as-is",
    window: str = "model",
    names: Sequence[str] = (),
    advance: Callable[[int], None] = lambda _: None,
) -> dict[View, np.ndarray]:
    """Embeds sequences in every pooling of every tap, from one forward pass.

    Args:
        model: A model id, `ID:random`, `ID:random:tiny`, or `kmer-1` .. `kmer-6`; with `:both`
            behind it, the mean over both strands.
        sequences: N texts in a list, a pandas Series, a NumPy array [N], or from a generator.
        checkpoints_dir: Holds one folder a model id; None: the pinned checkpoint from the hub.
        catalog: Holds a .json file for each model of your own, whose ids `model` may name then;
            None: there is none.
        taps: Hidden states: 'preset' for the preset's, -1 the final one, 0 the embedding output,
            i the output of block i, or a name such as Evo 2's 'mlp29'; none: all.
        poolings: Names of `POOLINGS`, and 'preset' for the preset's.
        preset: 'corrected' or 'published'.
        dtype: 'float32' or 'bfloat16', of parameters and computation, or 'model': the one that
            the catalog has for the model.
        letters: What the model is given: the sequences 'as-is', in 'upper' case, or as 'dna' (in
            upper case, U as T).
        window: Cuts longer sequences into windows, whose embeddings are averaged, weighted by
            tokens: 'LETTERS/STRIDE', such as '1024/512', 'LETTERS', with half of it as stride,
            'none', or 'model': what the catalog states.
        names: What errors call the sequences; none: their indices.
        advance: Told how many sequences were done since the last call.

    Returns:
        float32 [N, D] of each view.

    Raises:
        ValueError: The model cannot be loaded or has no such view (k-mers have no hidden states,
            windows and precisions to choose among), there is no such folder, or a
            sequence is no text, or empty, or too long; sequences are checked before weights are
            loaded.
    """
    if letters not in LETTERS:
        raise ValueError(f"letters is {letters!r}; valid: {', '.join(LETTERS)}")
    try:
        cut = parse_window(window)
    except ValueError as error:
        raise ValueError(f"window is {error}") from None
    texts = [prepare(text, letters) for text in _texts(sequences)]
    folder = local_path(checkpoints_dir) if checkpoints_dir else None
    try:
        models = directory(catalog)
    except ValueError as error:
        raise ValueError(f"catalog is {error}") from None
    settings = Settings(
        data=DataSettings(checkpoints_dir=folder, catalog=models),
        embedding=EmbeddingSettings(
            preset=preset, dtype=dtype, taps=tuple(taps), poolings=tuple(poolings), window=cut
        ),
    )
    source = find_source(model, settings)
    if ignored := ignored_fields(source, settings.embedding):
        mend = "leave {} out, or name a model with hidden states"
        raise ValueError("\n".join(f"{e.problem}; {mend.format(e.field)}" for e in ignored))
    say_unseen_sequences(source.name, source.unseen(texts), len(texts), names)
    embeddings = source.embed(texts, names, advance)
    for view in embeddings:
        logging.info("model '%s': hidden state %s, pooling '%s'", source.name, *view)
    return embeddings


def _texts(sequences: Iterable[str]) -> list[str]:
    """Returns sequences as a list; raises ValueError where one is no text or empty."""
    kind = type(sequences).__name__
    if isinstance(sequences, str | bytes | bytearray):
        raise ValueError(f"sequences is a single {kind}; give a list of sequences, such as [text]")
    if isinstance(sequences, Mapping | Set):
        raise ValueError(f"sequences is a {kind}; give a list of the sequences, in order")
    # A table or matrix iterates over the names of its columns, or over its rows.
    if getattr(sequences, "ndim", 1) != 1 or not isinstance(sequences, Iterable):
        raise ValueError(f"sequences is a {kind}; give a list, or one column of a table")
    texts = list(sequences)
    if not texts:
        raise ValueError("there is no sequence")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(
                f"sequences[{i}] is {text!r} of type {type(text).__name__}; a sequence is a str"
            )
        if not text.strip():
            raise ValueError(f"sequences[{i}] is empty; a sequence has at least one letter")
    return [str(text) for text in texts]  # of NumPy's strings too
