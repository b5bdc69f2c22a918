"""Thirteen small generated tasks, one a category, each with a signal a biologist would know.

They need no network and show that a run works; their scores say nothing of real genomes.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from geneb_jax.benchmark import TaskInfo
from geneb_jax.tasks.task import Split, Task

SYNTHETIC_PREFIX = "synthetic_"  # of the ids

_BASES = np.array(list("ACGT"))
_IUPAC = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT",
    "K": "GT", "M": "AC", "N": "ACGT",
}  # fmt: skip

Generator = Callable[[np.random.Generator, int], str]  # (rng, label) -> sequence


@dataclass(frozen=True)
class _Recipe:
    name: str
    category: str
    classes: int
    generate: Generator
    train: int = 400
    test: int = 200


def background(rng: np.random.Generator, length: int, gc: float = 0.5) -> list[str]:
    """Draws independent bases with the given share of G and C."""
    p = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
    return list(rng.choice(_BASES, length, p=p))


def plant(rng: np.random.Generator, bases: list[str], motif: str, start: int) -> None:
    """Writes a motif in IUPAC letters into a sequence."""
    bases[start : start + len(motif)] = [rng.choice(list(_IUPAC[letter])) for letter in motif]


def _anywhere(rng: np.random.Generator, bases: list[str], motif: str) -> None:
    plant(rng, bases, motif, int(rng.integers(0, len(bases) - len(motif))))


def _nucleosome(rng: np.random.Generator, label: int) -> str:
    """Nucleosome positioning: WW dinucleotides every 10 bp, or at random places."""
    bases = background(rng, 200)
    places = range(int(rng.integers(10)), 196, 10) if label else rng.integers(0, 196, 19)
    for place in places:
        plant(rng, bases, "WW", int(place))
    return "".join(bases)


def _promoter(rng: np.random.Generator, label: int) -> str:
    """A TATA box 30 bp before an initiator, or neither."""
    bases = background(rng, 120, gc=0.5)
    if label:
        plant(rng, bases, "TATAWAWR", 55 + int(rng.integers(-3, 4)))
        plant(rng, bases, "YYANWYY", 85)
    return "".join(bases)


def _enhancer(rng: np.random.Generator, label: int) -> str:
    """No, one (weak) or five (strong) AP-1 sites."""
    bases = background(rng, 200, gc=0.45)
    for _ in range((0, 1, 5)[label]):
        _anywhere(rng, bases, "TGASTCA")
    return "".join(bases)


def _methylation(rng: np.random.Generator, label: int) -> str:
    """The C in the middle of 41 bp stands in CCWGG (Dcm's site), or in any other context."""
    bases = background(rng, 41)
    plant(rng, bases, "CCWGG" if label else "C", 19 if label else 20)
    return "".join(bases)


def _splice(rng: np.random.Generator, label: int) -> str:
    """No site (a bare GT or AG), a donor, or an acceptor behind its polypyrimidine tract."""
    bases = background(rng, 120, gc=0.45)
    site = (rng.choice(["GT", "AG"]), "MAGGTRAGT", "YYYYYYYYYYYYNCAGG")[label]
    plant(rng, bases, site, 60 - len(site) // 2)
    return "".join(bases)


def _lncrna(rng: np.random.Generator, label: int) -> str:
    """AU-rich with a poly-A signal and tail, or plain transcript of higher GC."""
    bases = background(rng, int(rng.integers(200, 401)), gc=0.42 if label else 0.46)
    if label:
        plant(rng, bases, "AATAAA", len(bases) - 35)
        plant(rng, bases, "A" * 8, len(bases) - 8)
    return "".join(bases)


def _mouse_enhancer(rng: np.random.Generator, label: int) -> str:
    """Two ETS sites (GGAA cores), or the same sites reversed."""
    bases = background(rng, 101)
    for _ in range(2):
        _anywhere(rng, bases, "ACCGGAAGT" if label else "TGAAGGCCA")
    return "".join(bases)


def _ctcf(rng: np.random.Generator, label: int) -> str:
    """A CTCF site with up to two changes in it, or its letters shuffled."""
    motif = list("CCANNAGGGGGCGC")
    if not label:
        rng.shuffle(motif)
    for place in rng.integers(0, len(motif), 2):
        motif[place] = "N"
    bases = background(rng, 101)
    _anywhere(rng, bases, "".join(motif))
    return "".join(bases)


def _species(rng: np.random.Generator, label: int) -> str:
    """Twenty species, each a first-order Markov chain of its own dinucleotide composition."""
    own = np.random.default_rng([label, 20])
    steps = np.cumsum(own.dirichlet(np.full(4, 8.0), size=4), axis=1)
    state, bases = int(rng.integers(4)), []
    for draw in rng.random(300):
        state = min(int(np.searchsorted(steps[state], draw)), 3)
        bases.append(_BASES[state])
    return "".join(bases)


def _regulatory(rng: np.random.Generator, label: int) -> str:
    """CpG island, AT-rich with sites of FOX factors, or neither."""
    bases = background(rng, int(rng.integers(150, 301)), gc=(0.6, 0.42, 0.5)[label])
    for _ in range(len(bases) // 20):
        if label < 2:
            _anywhere(rng, bases, ("CG", "TGTTTAC")[label] if rng.random() < 0.5 else "N")
    return "".join(bases)


def _phage(rng: np.random.Generator, label: int) -> str:
    """Phage fragments of lower GC, without the host's GATC sites, which its nucleases cut."""
    text = "".join(background(rng, 300, gc=0.46 if label else 0.5))
    return text.replace("GATC", "GTTC") if label else text


def _coding(rng: np.random.Generator, label: int) -> str:
    """Codon periodicity: GC-rich third positions and no stop codon; or the letters shuffled."""
    bases = background(rng, 300, gc=0.45)
    bases[2::3] = background(rng, 100, gc=0.75)
    for i in range(0, 300, 3):
        if "".join(bases[i : i + 3]) in ("TAA", "TAG", "TGA"):
            bases[i] = "C"
    if not label:
        rng.shuffle(bases)
    return "".join(bases)


def _accessibility(rng: np.random.Generator, label: int) -> str:
    """Open chromatin: higher GC and an SP1 site; closed: lower GC."""
    bases = background(rng, int(rng.integers(200, 261)), gc=0.54 if label else 0.46)
    if label:
        _anywhere(rng, bases, "GGGGCGGGG")
    return "".join(bases)


_RECIPES: Sequence[_Recipe] = (
    _Recipe("nucleosome_positioning", "Histone Mod.", 2, _nucleosome),
    _Recipe("tata_promoter", "Promoters", 2, _promoter),
    _Recipe("ap1_enhancer_strength", "Enhancers", 3, _enhancer),
    _Recipe("dcm_methylation", "DNA Methyl.", 2, _methylation),
    _Recipe("splice_sites", "Splice Sites", 3, _splice),
    _Recipe("polya_lncrna", "lncRNA", 2, _lncrna),
    _Recipe("ets_enhancer", "Mouse Enh.", 2, _mouse_enhancer),
    _Recipe("ctcf_binding", "TF Binding", 2, _ctcf),
    _Recipe("species_composition", "Species Clf.", 20, _species, train=600, test=300),
    _Recipe("cpg_regulatory", "Regulatory", 3, _regulatory),
    _Recipe("phage_host", "Virus/Phage", 2, _phage),
    _Recipe("codon_periodicity", "Coding/NC", 2, _coding),
    _Recipe("sp1_accessibility", "Chromatin Acc.", 2, _accessibility),
)


SYNTHETIC_IDS = tuple(f"{SYNTHETIC_PREFIX}{recipe.name}" for recipe in _RECIPES)


def synthetic_tasks(seed: int = 0, ids: Collection[str] = SYNTHETIC_IDS) -> tuple[Task, ...]:
    """Generates tasks, the same bytes for the same seed, whichever others are asked for.

    Args:
        seed: What their sequences are drawn with.
        ids: Which of `SYNTHETIC_IDS`; they come in the order of these.
    """
    return tuple(
        _generate(recipe, seed + i)
        for i, (id, recipe) in enumerate(zip(SYNTHETIC_IDS, _RECIPES, strict=True))
        if id in ids
    )


def _generate(recipe: _Recipe, seed: int) -> Task:
    rng = np.random.default_rng(seed)
    splits = []
    for size in (recipe.train, recipe.test):
        labels = rng.permutation(np.arange(size) % recipe.classes)
        splits.append(Split([recipe.generate(rng, int(label)) for label in labels], labels))
    name = f"{SYNTHETIC_PREFIX}{recipe.name}"
    info = TaskInfo(name, f"synthetic {recipe.name}", recipe.category, "synthetic")
    return Task(info, *splits, synthetic=True)
