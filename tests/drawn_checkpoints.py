"""Random checkpoints of any config of a family, in the names and shapes of its authors' files."""

import numpy as np

from model_ports.contract.family import family
from model_ports.contract.weights import Weight
from model_ports.loading.assignment import parameter_shapes
from model_ports.loading.planned import abstract_model


def drawn_tensors(name, config, seed=0, std=0.4):
    """Returns normal tensors that fill a family's module, by their names in a file.

    Layouts must be their own inverse, as a transpose is.
    """
    shapes = parameter_shapes(abstract_model(name, config)[1])
    rng, tensors = np.random.default_rng(seed), {}
    for rule in family(name).weights(config):
        if not isinstance(rule, Weight):
            continue
        rows = shapes[rule.path]
        numbers = sorted(rule.only or range(rows[0])) if "{}" in rule.source else [None]
        for number in numbers:
            tensor = rng.normal(0, std, rows if number is None else rows[1:]).astype(np.float32)
            tensor = tensor if rule.layout is None else rule.layout(tensor)
            tensors[rule.source.format(number)] = np.ascontiguousarray(tensor)
    return tensors
