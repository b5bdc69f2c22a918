"""Random checkpoints of any config of a family, in the names and shapes of its authors' files."""

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from model_ports.contract.family import family
from model_ports.contract.weights import Weight
from model_ports.loading.assignment import parameter_shapes
from model_ports.loading.planned import abstract_model


def drawn_tensors(name, config, seed=0, std=0.4):
    """Returns normal tensors that fill a family's module, by their names in a file.

    Each must fill one parameter whole, of whose layout it may have other axes, and some of size 1.
    """
    shapes = parameter_shapes(abstract_model(name, config)[1])
    rng, tensors = np.random.default_rng(seed), {}
    for rule in family(name).weights(config):
        if not isinstance(rule, Weight):
            continue
        rows = shapes[rule.path]
        numbers = sorted(rule.only or range(rows[0])) if "{}" in rule.source else [None]
        for number in numbers:
            values = rng.normal(0, std, rows if number is None else rows[1:]).astype(np.float32)
            tensors[rule.source.format(number)] = _stored(values, rule.layout)
    return tensors


def _stored(values: np.ndarray, layout: Callable[..., np.ndarray] | None) -> np.ndarray:
    """Returns the tensor of which a layout makes some values."""
    if layout is None:
        return values
    order = np.arange(values.size)
    for shape in _candidates(values.shape):
        try:
            taken = np.asarray(layout(order.reshape(shape)))
        except (ValueError, IndexError):
            continue
        if taken.shape == values.shape and np.array_equal(np.sort(taken, axis=None), order):
            stored = np.empty(values.size, np.float32)
            stored[taken.ravel()] = values.ravel()
            return stored.reshape(shape)
    raise AssertionError(f"no tensor has a layout of {values.shape}")


def _candidates(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yields the shapes that a tensor of a parameter's shape may have in a file."""
    for ones in range(3):
        yield from dict.fromkeys(itertools.permutations((*shape, *[1] * ones)))
    yield (math.prod(shape[:-1]), shape[-1])
