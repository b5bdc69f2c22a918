"""What a probe is asked for and what comes of it: plain data that needs no JAX."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Integer

# Each kind of probe and the module that offers it: its `KIND`, a `kind.Kind`.
KINDS: Mapping[str, str] = {
    "logistic": "probes.logistic",
    "ridge": "probes.ridge",
    "mlp": "probes.mlp",
}
CLASS_WEIGHTS = ("none", "balanced")
SELECTIONS = ("none", "folds", "carve")


@dataclass(frozen=True)
class Probe:
    """Says which heads to fit.

    Attributes:
        kind: A name of `KINDS`.
        solver: A name of `solvers.SOLVERS`: 'geneb' stops where the harness stops, 'converged'
            at the optimum, either with '-float32' in products of float32; 'optax' at the optimum
            too, by `optax.lbfgs`. Kinds other than 'logistic' have one way to fit and ignore it.
        strengths: C of each head, positive.
        standardised: Fit on features of mean 0 and variance 1 over the rows of the fit.
        class_weights: Names of `CLASS_WEIGHTS`: with 'none' every row has the weight 1, with
            'balanced' the rows of every class have the same sum of weights.
        selection: A name of `SELECTIONS`: 'none' reports every strength and class weight; 'folds'
            and 'carve' report for each regime and seed the one with the best MCC on train rows
            that its fit did not see (the mean over `selection.FOLDS` stratified folds, or a
            stratified carve of `selection.CARVED_SHARE`), fitted again on all rows of train. Of
            equal ones the earlier in the grid is taken. Where a class has too few rows to be held
            out, C closest to 1 and the first class weight are taken.
        cross_validated: Also report the mean MCC on `selection.FOLDS` stratified folds of each
            head's train rows.
    """

    kind: str = "logistic"
    solver: str = "geneb"
    strengths: tuple[float, ...] = (1.0,)
    standardised: bool = False
    class_weights: tuple[str, ...] = ("none",)
    selection: str = "none"
    cross_validated: bool = False


@dataclass(frozen=True)
class Metrics:
    """The metrics of one fitted head, by the names that `metrics.score` gives them.

    Attributes:
        MCC, accuracy, macro_F1, balanced_accuracy: Metrics of the predictions.
        AUROC, AUPRC: Areas under the curves of the decision values; NaN for more than two classes.
    """

    MCC: float
    accuracy: float
    macro_F1: float
    balanced_accuracy: float
    AUROC: float
    AUPRC: float


# What each metric says, in the order of the table of scores.
METRICS: Mapping[str, str] = {
    "MCC": "Matthews correlation coefficient on the test rows, -1 to 1; 0 is guessing.",
    "accuracy": "Share of test rows predicted right.",
    "macro_F1": "Mean F1 over the classes.",
    "balanced_accuracy": "Mean recall over the classes.",
    "AUROC": "Area under the ROC curve; empty for more than two classes.",
    "AUPRC": "Average precision; empty for more than two classes.",
}


@dataclass(frozen=True)
class HeadScore(Metrics):
    """What one fitted head is, and its predictions on the test rows, beside its metrics.

    Attributes:
        shots: Rows of each class that the head was trained on; None: all.
        seed: Seed of the few-shot rows, of the selection's held-out rows and of an MLP; a fit of
            all rows that uses none of these does not depend on it.
        probe: The kind of probe, a name of `KINDS`.
        solver: See `Probe`; 'closed form' for ridge, 'adam' for an MLP.
        standardised: See `Probe`.
        class_weight: 'none' or 'balanced'.
        selection: See `Probe`.
        C: Inverse strength of the penalty.
        iterations: L-BFGS iterations, epochs of an MLP; 0 for ridge.
        objective: Mean loss with penalty, at the end of the fit.
        gradient_norm: Largest absolute entry of its gradient; NaN for an MLP.
        converged: Whether a tolerance was met, not the limit of iterations.
        predictions: Predicted labels.
        scores: Decision values, one for each row for two classes, else K.
        more: Predicted labels of other rows that were asked for; None: there are none.
        train_MCC: Mean MCC on folds of its train rows, by fits that did not see them; NaN where a
            class has fewer than two rows. None: not asked for.
    """

    shots: int | None
    seed: int
    probe: str
    solver: str
    standardised: bool
    class_weight: str
    selection: str
    C: float
    iterations: int
    objective: float
    gradient_norm: float
    converged: bool
    predictions: Integer[np.ndarray, " M"]
    scores: Float32[np.ndarray, " M"] | Float32[np.ndarray, "M K"]
    more: Integer[np.ndarray, " L"] | None = None
    train_MCC: float | None = None
