"""A port against the original code in transformers, on the weights of a checkpoint folder.

What `verify` proves of a family, at a tiny size and once, is proven here of any folder: its
tokenizer, its config.json and its weights give what the authors' code gives. No remote code runs.
"""

# pyright: reportMissingImports=false

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from model_ports.contract.family import FINAL, family
from model_ports.loading.adapter import merged
from model_ports.loading.names import read_names
from model_ports.loading.tensors import Tensors, open_checkpoint, read_config
from model_ports.pooling import POOLINGS
from model_ports.port import Port
from model_ports.running.embedder import forward
from model_ports.running.records import collate, padded_length, tokenize
from model_ports.tokenizers.base import letters_of
from model_ports.tokenizers.json_file import JsonTokenizer
from model_ports.tokenizers.spaced import spaced

# Of the largest magnitude of a hidden state; float32 codes of deep models differ by a tenth of it.
TOLERANCE = 1e-4

_LENGTHS = (200, 131, 64, 33, 12, 7)  # letters of the records that are drawn
_DNA = "A, C, G and T"
_RARE = "JXZ*"  # of which some are known to tokenizers of proteins or of bytes
_UNKNOWN = 0.01  # the share of unknown tokens from which a tokenizer is taken to be misread


class OriginalError(ValueError):
    """Raised where transformers has no code of its project that computes a checkpoint."""


@dataclass(frozen=True)
class Distance:
    """How far an array of the port is from the original's.

    Attributes:
        absolute: Largest absolute difference, infinite where the port's is not finite.
        relative: The same, as a share of the original's largest magnitude.
    """

    absolute: float
    relative: float


class TokenIds(NamedTuple):
    """How a port's token ids compare with the original's.

    Attributes:
        verdict: `same`; `differ by design`, in a way that is meant and documented; `differ`; or
            `not compared`.
        why: What differs, or why nothing was compared; '': they are the same.
    """

    verdict: Literal["same", "differ by design", "differ", "not compared"]
    why: str = ""


@dataclass(frozen=True)
class Comparison:
    """What a port and the original code make of the same records.

    Attributes:
        original: The class in transformers.
        records: How many records were compared.
        tokens: How token ids compare, by the letters of the records, such as `lower case`.
        states: By tap (see `Hidden`), the distance of hidden states over all tokens.
        pooled: The distance of the embeddings.
    """

    original: str
    records: int
    tokens: Mapping[str, TokenIds]
    states: Mapping[int, Distance]
    pooled: Distance

    @property
    def tokens_differ(self) -> bool:
        """Whether token ids of any letters are others in a way that is not meant."""
        return any(each.verdict == "differ" for each in self.tokens.values())

    @property
    def passed(self) -> bool:
        """Whether all that was compared agrees, within `TOLERANCE`."""
        found = [*self.states.values(), self.pooled]
        return not self.tokens_differ and all(each.relative <= TOLERANCE for each in found)


def random_records(longest: int | None, seed: int = 0) -> list[str]:
    """Returns DNA of several lengths, one record of it with unknown bases.

    Args:
        longest: The most letters that a record may have; None: no limit.
        seed: Seed of the letters.
    """
    rng = np.random.default_rng(seed)
    lengths = [length if longest is None else min(length, longest) for length in _LENGTHS]
    records = ["".join(rng.choice(list("ACGT"), length)) for length in lengths]
    return [*records, records[2][:5] + "NN" + records[2][7:]]


def compare_with_transformers(
    port: Port, folder: Path, seed: int = 0, *, adapter: Path | None = None
) -> Comparison:
    """Embeds records with a port and with the original code, in one padded batch, on the CPU.

    Both get the port's token ids; those of transformers' tokenizer are compared beside it, also of
    records in lower case, with N, with U for T, and with a letter that the port's does not know.
    Where its vocabulary is one of overlapping k-mers it is given the records written in these.

    Args:
        port: The port of the folder's checkpoint, of dtype float32.
        folder: The authors' files, or files that transformers has saved.
        seed: Seed of the records.
        adapter: Folder of the LoRA adapter that is merged into the port's weights; None: there is
            none. The original is given the same sums: that they are PEFT's is not compared.

    Raises:
        CheckpointError: See `merged`.
        OriginalError: PyTorch or transformers is not installed, transformers has no class for the
            checkpoint, or its class does not take the checkpoint's tensors.
    """
    tensors = open_checkpoint(folder)
    tensors = merged(tensors, adapter) if adapter else tensors
    model = _original(port, folder, tensors, fill=adapter is not None)
    limit = port.config.max_tokens
    longest = None if limit is None else limit - port.tokenizer.specials
    records = random_records(longest, seed)
    encoded = tokenize(port, records)
    tokens = _compare_tokens(port, folder, records[:-1])  # the last one has letters N
    inputs = collate(port, encoded, padded_length(port, max(map(len, encoded))))
    mask = inputs["attention_mask"]
    expected = _hidden_states(model, inputs)
    taps = (FINAL,)
    if len(expected) == port.config.layers + 1:
        taps = (*range(port.config.layers), FINAL)
    expected = dict(zip(taps, expected[-len(taps) :], strict=True))
    hidden = jax.jit(lambda state, inputs: forward(port, state, inputs, taps))(port.state, inputs)
    pool = POOLINGS[port.preset.pooling]
    return Comparison(
        original=type(model).__name__,
        records=len(records),
        tokens=tokens,
        states={
            tap: _distance(np.asarray(hidden.states[tap])[mask], expected[tap][mask])
            for tap in taps
        },
        pooled=_distance(
            np.asarray(pool(hidden.states[FINAL], hidden.rows(FINAL))),
            np.asarray(pool(jnp.asarray(expected[FINAL]), jnp.asarray(mask))),
        ),
    )


def _original(port: Port, folder: Path, tensors: Tensors, *, fill: bool) -> Any:
    """Returns the original model with a folder's weights, in float32.

    Args:
        port: The port.
        folder: The folder.
        tensors: Its tensors, or others of the same names in their stead.
        fill: Whether they are others.
    """
    with _quiet_transformers() as transformers:
        name = read_config(folder).get("model_type")
        if name is None:
            raise _no_original(port, "config.json states no model_type")
        if name not in transformers.CONFIG_MAPPING:
            raise _no_original(port, f"transformers has no class of model_type '{name}'")
        try:
            config = transformers.AutoConfig.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
            named = _names_there(port, tensors, transformers.AutoModel, config)
            model, loaded = transformers.AutoModel.from_pretrained(
                folder,
                config=config,
                dtype="float32",
                attn_implementation="eager",
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
            if fill or not named.keys().isdisjoint(loaded["missing_keys"]):
                _fill(model, tensors, named)
        except OriginalError:
            raise
        except Exception as error:  # its classes raise whatever a config.json leads them to
            reason = " ".join(str(error).split())[:200]
            raise OriginalError(
                f"model '{port.entry.id}': transformers {transformers.__version__} cannot load it, "
                f"so that nothing is compared: {type(error).__name__}: {reason}"
            ) from error
    return model.eval()


def _names_there(port: Port, tensors: Tensors, auto: Any, config: Any) -> dict[str, str]:
    """Returns the names of a folder's tensors by those in transformers' class.

    Checks that the class has the tensors that the port takes, and no others. A repository with
    code of its kind has other tensors than the class whose model_type it states.

    Raises:
        OriginalError: A tensor is of one of them alone, or of two shapes.
    """
    import torch  # noqa: PLC0415 (an optional extra)

    with torch.device("meta"):
        empty = auto.from_config(config, trust_remote_code=False)
    shapes = {name: tuple(tensor.shape) for name, tensor in empty.state_dict().items()}
    rules = family(port.entry.family).weights(port.config)
    theirs, mine = read_names(rules, shapes), read_names(rules, tensors)
    strange = [*theirs.unknown, *sorted(theirs.needed.keys() ^ mine.needed.keys())]
    strange += [
        name
        for name, stored in mine.needed.items()
        if name in theirs.needed and tuple(tensors[stored]) != shapes[theirs.needed[name]]
    ]
    if strange:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        raise _no_original(
            port,
            f"transformers' {type(empty).__name__} has other tensors, such as '{strange[0]}'{more}",
        )
    return {theirs.needed[name]: stored for name, stored in mine.needed.items()}


def _fill(model: Any, tensors: Tensors, named: Mapping[str, str]) -> None:
    """Gives a model tensors that transformers does not find by itself.

    It leaves tensors whose names it does not know random without an error, as those that training
    in parallel has saved behind `module.`.

    Args:
        model: The original model.
        tensors: The tensors.
        named: Their names by those of the model.
    """
    import torch  # noqa: PLC0415 (an optional extra)

    arrays = {name: tensors.read(stored).astype(np.float32) for name, stored in named.items()}
    model.load_state_dict({name: torch.tensor(a) for name, a in arrays.items()}, strict=False)


def _no_original(port: Port, reason: str) -> OriginalError:
    return OriginalError(
        f"model '{port.entry.id}': {reason}: its original code is not in transformers, but the "
        "authors'; the reference is what that code gave, kept in the model's fixture: "
        "`geneb-jax models verify tests/golden/MODEL`"
    )


@contextmanager
def _quiet_transformers() -> Iterator[Any]:
    """Yields transformers, which tells of unused weights and of progress, below errors."""
    try:
        import torch  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport]
        import transformers  # noqa: PLC0415 (it takes seconds)
    except ImportError as error:
        raise OriginalError(
            f"{error.name} is not installed; install the extra: pip install 'geneb-jax[convert]'"
        ) from error
    logging = transformers.utils.logging
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield transformers
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def _hidden_states(model: Any, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Returns the original's hidden states, [B, L, D] each, the last behind its final norm."""
    import torch  # noqa: PLC0415 (an optional extra)

    with torch.no_grad():
        output = model(
            input_ids=torch.tensor(inputs["input_ids"], dtype=torch.long),
            attention_mask=torch.tensor(inputs["attention_mask"], dtype=torch.long),
            output_hidden_states=True,
        )
    states = [*output.hidden_states[:-1], output.last_hidden_state]
    return [state.numpy() for state in states]


def _compare_tokens(port: Port, folder: Path, records: Sequence[str]) -> dict[str, TokenIds]:
    """Returns how the token ids of both tokenizers compare, by the letters of the records.

    Args:
        port: The port.
        folder: Its folder, whose tokenizer transformers reads.
        records: DNA of the letters A, C, G and T, in which others are put.
    """
    with _quiet_transformers() as transformers:

        def ids(texts: Sequence[str]) -> list[list[int]]:
            cut = {"truncation": longest is not None, "max_length": longest}
            k = port.entry.tokenizer.get("spaced")
            return [tokenizer(spaced(text, k), **cut)["input_ids"] for text in texts]

        longest = port.preset.max_tokens
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
            of_dna = ids(records)
        except Exception as error:  # its tokenizers raise whatever their files lead them to
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
            unusable = f"transformers' tokenizer cannot be used ({reason})"
            return {_DNA: TokenIds("not compared", unusable)}
        share = np.mean([i == tokenizer.unk_token_id for each in of_dna for i in each] or [1.0])
        if share > _UNKNOWN or not all(of_dna):
            unread = "transformers' tokenizer does not know these letters"
            return {_DNA: TokenIds("not compared", unread)}
        found = {}
        for letters, change in _letters(port).items():
            changed = [change(record) for record in records]
            found[letters] = _compare_ids(port, changed, ids, dna=letters == _DNA)
        return found


def _letters(port: Port) -> dict[str, Callable[[str], str]]:
    """Returns what is made of records of A, C, G and T to hold other letters, by their name."""

    def with_letter(letter: str) -> Callable[[str], str]:
        return lambda record: record[:5] + 2 * letter + record[7:]

    unknown = next((each for each in _RARE if each not in port.tokenizer.known_letters), None)
    found: dict[str, Callable[[str], str]] = {
        _DNA: str,
        "lower case": str.lower,
        "N": with_letter("N"),
        "U for T": lambda record: record.replace("T", "U"),
    }
    if unknown:
        found[f"{unknown}, which the tokenizer does not know"] = with_letter(unknown)
    return found


def _compare_ids(
    port: Port,
    records: Sequence[str],
    ids: Callable[[Sequence[str]], list[list[int]]],
    *,
    dna: bool,
) -> TokenIds:
    """Compares a port's token ids of some records with the original's.

    Args:
        port: The port.
        records: The records.
        ids: Gives the original's token ids of records.
        dna: Whether they are of A, C, G and T alone, of which no difference is meant.
    """
    try:
        theirs = ids(records)
    except Exception as error:  # its tokenizers raise whatever letters lead them to
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        return TokenIds("not compared", f"transformers' tokenizer refuses them ({reason})")
    mine = [encoded.tolist() for encoded in tokenize(port, records)]
    if mine == theirs:
        return TokenIds("same")
    tokenizer, known = port.tokenizer, set(port.tokenizer.known_letters)
    unknown = tokenizer.unknown_id if isinstance(tokenizer, JsonTokenizer) else None
    unread = all(unknown in a for a, b in zip(mine, theirs, strict=True) if a != b)
    written = letters_of(port.entry.tokenizer)
    meant = {
        "records are read as upper case here, as the vocabulary's k-mers are; transformers takes "
        "them as they are": mine == ids([written(record) for record in records]),
        "transformers drops letters that its tokenizer does not know; here they are the unknown "
        "token that tokenizer.json names": unread
        and theirs == ids(["".join(filter(known.__contains__, record)) for record in records]),
    }
    for why, holds in meant.items():
        if holds and not dna:
            return TokenIds("differ by design", why)
    record, a, b = next(
        each for each in zip(records, mine, theirs, strict=True) if each[1] != each[2]
    )
    pairs = enumerate(zip(a, b, strict=False))
    first = next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))
    return TokenIds(
        "differ",
        f"record {record[:24]}... differs from token {first} on: {a[first : first + 6]} here, "
        f"{b[first : first + 6]} there",
    )


def _distance(found: np.ndarray, expected: np.ndarray) -> Distance:
    if found.shape != expected.shape or not np.isfinite(found).all():
        return Distance(float("inf"), float("inf"))
    absolute = float(np.abs(found.astype(np.float64) - expected).max())
    return Distance(absolute, absolute / max(float(np.abs(expected).max()), 1e-30))
