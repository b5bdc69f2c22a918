"""A classifier of many logistic heads, with scikit-learn's method names."""

from __future__ import annotations  # `help` shows a signature as it stands here, not resolved

import inspect
import warnings
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float32, Float64, Integer, Shaped
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.special import expit, softmax

from probes.draws import Draw
from probes.kind import FittedHeads, find_kind
from probes.linear import decision_values
from probes.metrics import predict, score
from probes.probe import CLASS_WEIGHTS, Probe
from probes.rows import TaskRows
from probes.sampling import few_shot_rows
from probes.selection import held_out_rows
from probes.solvers import SOLVERS

_SHOWN = 3  # names of columns, or of types, in an error
_MOST_DENSE = 2**30  # numbers of a sparse X that is made dense: 4 GiB of float32
_ROUNDED_AT_ONCE = 2**20  # numbers that are looked at together
_MOST_MOVED = 2**-5  # of a column's spread that rounding may move its values by without a word
_FACTS = ("iterations", "objective", "gradient_norm", "converged")

Features = ArrayLike | sparse.sparray | sparse.spmatrix  # numbers [N, D]


class NotFittedError(ValueError, AttributeError):
    """A classifier was asked before its `fit`; of the same classes as scikit-learn's error."""


class JointLogistic:
    """Logistic regression for every strength C, number of shots and seed, fitted together.

    `JointLogistic(C=[0.1, 1, 10], shots=[None, 10]).fit(X, y)` fits three heads on all rows of X,
    and for each seed three on ten rows of each class. One of them answers `predict`,
    `decision_function` and `predict_proba`, as a classifier of scikit-learn's does, so that it
    can stand in a pipeline; `predict_all` and `evaluate` answer for all.

    Args:
        C: Inverse strengths of the penalty, as scikit-learn's C: a number or several.
        shots: Rows of each class that a head is fitted on, None for all: one or several.
        seeds: Seeds of the few-shot rows: one or several. The default is GENEB's.
        solver: A name of `probes.SOLVERS`: 'geneb' stops where scikit-learn 1.5 stops by default,
            'converged' at the optimum.
        standardised: Fit on features of mean 0 and variance 1 over the rows of the fit.
        class_weight: None, every row counts alike, or 'balanced', every class does.
        random_state: Seed of the folds that heads of all rows are scored on, at least 0.

    Attributes:
        classes_: The K labels of y, sorted.
        n_features_in_: D.
        feature_names_in_: Names of the columns of a table X, texts; None where X has none.
        coef_: Weights of the H heads, float64 [H, K1, D], K1 = 1 for two classes, else K.
        intercept_: Intercepts of the heads, float64 [H, K1].
        scores_: Table of H rows: `shots`, `seed` (both empty where a head has all rows) and `C` of
            each head, `held_out`, the metrics of `probes.METRICS` on rows of X that the head's fit
            did not see, and how the fit ended. Held out of few-shot heads are the rows that were
            not drawn; heads of all rows are fitted again without each of five stratified folds (or
            as many as the smallest class has rows), and the metrics are means over the folds.
            They are empty where no row is left or a class has a single one.
        best_index_: The head that `predict` uses. Of the heads with the most rows a class it has
            the C with the best mean MCC in `scores_`, of equal ones the first given, and the first
            seed. Where there is no such score C is the one closest to 1.
    """

    def __init__(
        self,
        C: float | Iterable[float] = 1.0,
        *,
        shots: int | Iterable[int | None] | None = None,
        seeds: int | Iterable[int] = (13, 17, 42, 123, 997),
        solver: str = "geneb",
        standardised: bool = False,
        class_weight: str | None = None,
        random_state: int = 0,
    ):
        self.C = C
        self.shots = shots
        self.seeds = seeds
        self.solver = solver
        self.standardised = standardised
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(self, X: Features, y: ArrayLike) -> JointLogistic:
        """Fits all heads, and scores each on rows of X that it did not see.

        Args:
            X: Features, finite numbers [N, D]. They are rounded to float32, and the arithmetic is
                float64: a head is scikit-learn's on the rounded features. A sparse matrix is made
                dense, which takes 4 N D bytes.
            y: Labels [N], of any kind that can be sorted.

        Raises:
            ValueError: X and y do not fit each other, y has one class or lacks a label, a value is
                no finite number or a parameter is not valid.

        Warns:
            UserWarning: A class has fewer rows than `shots` asks for; it gives all it has. Or
                rounding to float32 moves a column's values by more than 1/32 of its spread, as
                where its mean is above 2^20 times that.
        """
        probe, shots, seeds = self._asked()
        given = _matrix(X)
        x = _float32(given)
        _say_rounding(given, x)
        labels = _labels(y, len(x))
        self.feature_names_in_ = _column_names(X)
        self.classes_, classes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has the class {self.classes_.tolist()[0]!r} alone; a probe needs two"
            )
        self.n_features_in_ = x.shape[1]
        _say_small_classes(shots, self.classes_, classes)
        train, everything = TaskRows(x, classes, len(self.classes_)), np.arange(len(x))
        self.scores_, heads = pd.DataFrame(), []
        for k in shots:
            draws = [
                Draw(
                    everything if k is None else few_shot_rows(classes, k, seed),
                    seed,
                    k is None,
                    probe.class_weights[0],
                )
                for seed in (seeds[:1] if k is None else seeds)  # all rows do not depend on it
            ]
            fitted = _fit(train, draws, probe)
            held_out = (
                _scores_on_folds(train, draws[0], probe, self.random_state)
                if k is None
                else _scores_on_others(train, draws, fitted)
            )
            rows = _table(k, [None] if k is None else seeds, probe.strengths, held_out, fitted)
            self.scores_ = pd.concat([self.scores_, rows], ignore_index=True)
            heads.append(fitted.head.reshape(-1, *fitted.head.shape[2:]))
        stacked = np.concatenate(heads)
        self.coef_, self.intercept_ = stacked[:, :-1].swapaxes(1, 2), stacked[:, -1]
        self.best_index_ = _best(self.scores_)
        return self

    def decision_function(self, X: Features) -> Float64[np.ndarray, "M ..."]:
        """Returns the decision values of the best head: [M] for two classes, else [M, K].

        Raises:
            NotFittedError: `fit` was not called yet, here as in all that answers for heads.
            ValueError: X is no matrix of the features that the heads were fitted on.
        """
        values = self._best_values(X)
        return values[:, 0] if values.shape[1] == 1 else values

    def predict_proba(self, X: Features) -> Float64[np.ndarray, "M K"]:
        """Returns the probability of each class by the best head."""
        values = self._best_values(X)
        if values.shape[1] == 1:
            positive = expit(values)
            return np.hstack([1 - positive, positive])
        return softmax(values, axis=1)

    def predict(self, X: Features) -> Shaped[np.ndarray, " M"]:
        """Returns the labels that the best head predicts."""
        return self._labels_of(self._best_values(X))

    def predict_all(self, X: Features) -> Shaped[np.ndarray, "H M"]:
        """Returns the labels that each head predicts, in the order of `scores_`."""
        return self._labels_of(self._values(X))

    def score(self, X: Features, y: ArrayLike) -> float:
        """Returns the share of rows that the best head predicts right."""
        predicted = self.predict(X)
        return float(np.mean(predicted == _labels(y, len(predicted))))

    def evaluate(self, X: Features, y: ArrayLike) -> pd.DataFrame:
        """Returns the metrics of every head on rows that it was not fitted on.

        Args:
            X: Features [M, D].
            y: Their labels [M]; all of them occur in the labels that were fitted.

        Returns:
            Table of H rows: `shots`, `seed` and `C`, and the metrics of `probes.METRICS`.

        Raises:
            ValueError: A label did not occur, or X and y do not fit.
        """
        values = self._values(X)
        labels = _labels(y, values.shape[1])
        absent = np.setdiff1d(labels, self.classes_)
        if absent.size:
            raise ValueError(f"y has labels that the fit did not see: {absent[:3].tolist()}")
        metrics = score(values, np.searchsorted(self.classes_, labels))
        return self.scores_[["shots", "seed", "C"]].assign(**metrics)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Returns the parameters by name, for scikit-learn's `clone` and searches."""
        del deep
        names = inspect.signature(type(self).__init__).parameters
        return {name: getattr(self, name) for name in names if name != "self"}

    def set_params(self, **params: Any) -> JointLogistic:
        """Changes parameters by name.

        Raises:
            ValueError: There is no such parameter.
        """
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"parameter '{name}' is not known: {', '.join(known)}")
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:  # scikit-learn, which is not needed here, asks for it
        from sklearn.utils import ClassifierTags, Tags, TargetTags  # noqa: PLC0415

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coef_")

    def __repr__(self) -> str:
        given = (f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({', '.join(given)})"

    def _asked(self) -> tuple[Probe, list[int | None], list[int]]:
        """Returns what is to be fitted; raises ValueError where a parameter is not valid."""
        strengths, shots, seeds = _several(self.C), _several(self.shots), _several(self.seeds)
        weight = "none" if self.class_weight is None else self.class_weight
        for name, values, valid, meaning in (
            ("C", strengths, lambda C: _is_number(C) and 0 < C < np.inf, "numbers above 0"),
            (
                "shots",
                shots,
                lambda k: k is None or (_is_whole(k) and k >= 1),
                "whole numbers from 1 on, and None for all rows",
            ),
            ("seeds", seeds, _is_seed, "whole numbers from 0 to 2^32 - 1"),
            ("random_state", [self.random_state], _is_seed, "whole numbers from 0 to 2^32 - 1"),
            (
                "standardised",
                [self.standardised],
                lambda it: isinstance(it, bool | np.bool_),
                "True, False",
            ),
            ("solver", [self.solver], lambda it: it in SOLVERS, ", ".join(map(repr, SOLVERS))),
            ("class_weight", [weight], lambda it: it in CLASS_WEIGHTS, "None and 'balanced'"),
        ):
            given = f"{name}={getattr(self, name)!r}"
            if not all(map(valid, values)):
                raise ValueError(f"{given}: valid are {meaning}")
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{given}: give one or several, each once")
        probe = Probe(
            solver=self.solver,
            strengths=tuple(map(float, strengths)),
            standardised=self.standardised,
            class_weights=(weight,),
        )
        return probe, [k if k is None else int(k) for k in shots], list(map(int, seeds))

    def _labels_of(
        self, values: Float[np.ndarray, "*heads M K1"]
    ) -> Shaped[np.ndarray, "*heads M"]:
        return self.classes_[predict(values)]

    def _best_values(self, X: Features) -> Float64[np.ndarray, "M K1"]:
        """Returns the decision values of the head that predicts."""
        return self._values(X)[self.best_index_]

    def _values(self, X: Features) -> Float64[np.ndarray, "H M K1"]:
        """Returns the decision values of all heads."""
        if not self.__sklearn_is_fitted__():
            raise NotFittedError("JointLogistic is not fitted yet; call fit(X, y) first")
        x, names = _features(X), _column_names(X)
        fitted = self.feature_names_in_
        if names is not None and fitted is not None and names != fitted:
            raise ValueError(
                "X has other columns than the heads were fitted on, or in another order: "
                f"{names[:_SHOWN]} ..., not {fitted[:_SHOWN]} ..."
            )
        if x.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {x.shape[1]} features, but the heads were fitted on {self.n_features_in_}"
            )
        heads = np.concatenate([self.coef_.swapaxes(1, 2), self.intercept_[:, None]], axis=1)
        return decision_values(x, heads[None])[0]


def _several(value: Any) -> list[Any]:
    """Returns one value or several as a list."""
    scalar = isinstance(value, str) or getattr(value, "ndim", 1) == 0
    return [value] if scalar or not isinstance(value, Iterable) else list(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and float(value).is_integer()


def _is_seed(value: Any) -> bool:
    return _is_whole(value) and 0 <= value < 2**32


def _say_small_classes(
    shots: Sequence[int | None],
    names: Shaped[np.ndarray, " K"],
    classes: Integer[np.ndarray, " N"],
) -> None:
    """Warns where a class has fewer rows than are asked for."""
    counts = np.bincount(classes)
    smallest = int(counts.argmin())
    more = [k for k in shots if k is not None and k > counts[smallest]]
    if more:
        warnings.warn(
            f"shots={more[0]}: class {names.tolist()[smallest]!r} of y has {counts[smallest]} "
            "rows; a class with fewer gives all it has",
            stacklevel=3,
        )


def _say_rounding(given: Shaped[np.ndarray, "N D"], x: Float32[np.ndarray, "N D"]) -> None:
    """Warns where float32 holds little of how the values of a column differ."""
    if np.can_cast(given.dtype, np.float32):
        return
    width = x.shape[1]
    moved, low, high = np.zeros(width), np.full(width, np.inf), np.full(width, -np.inf)
    step = max(_ROUNDED_AT_ONCE // width, 1)
    for rows in (slice(start, start + step) for start in range(0, len(x), step)):
        block = given[rows].astype(np.float64)
        moved = np.maximum(moved, np.abs(block - x[rows]).max(axis=0))
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
    (lossy,) = np.nonzero(moved > (high - low) * _MOST_MOVED)
    lossy = lossy[high[lossy] > low[lossy]]  # a constant stays one
    if len(lossy):
        share = moved[lossy] / (high - low)[lossy]
        worst = int(share.argmax())
        warnings.warn(
            f"X is rounded to float32, which moves values of {len(lossy)} of {width} columns by "
            f"more than {_MOST_MOVED:.0%} of their spread, of column {lossy[worst]} by up to "
            f"{share[worst]:.0%}; subtract the mean of each column from X, or standardise it, "
            "before the fit (standardised=True comes after rounding)",
            stacklevel=3,
        )


def _features(X: Features) -> Float32[np.ndarray, "N D"]:
    """Returns X as float32; raises ValueError where it is no matrix of finite numbers."""
    return _float32(_matrix(X))


def _matrix(X: Features) -> Shaped[np.ndarray, "N D"]:
    """Returns X as it was given, dense; raises ValueError where it is no matrix of numbers."""
    if sparse.issparse(X):
        X = _dense(X)
    x = np.asarray(X)
    if x.ndim != 2 or not x.size:
        raise ValueError(f"X has the shape {list(x.shape)}; rows x features, [N, D], is needed")
    if x.dtype.kind not in "biufO":
        raise ValueError(f"X holds values of type {x.dtype}; real numbers are needed")
    return x


def _float32(given: Shaped[np.ndarray, "N D"]) -> Float32[np.ndarray, "N D"]:
    """Returns features as float32; raises ValueError where a value is no finite number there."""
    try:
        x = np.ascontiguousarray(given, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"X holds something else than numbers: {error}") from None
    finite = np.isfinite(x).all(axis=1)
    if not finite.all():
        raise ValueError(f"X[{int(finite.argmin())}] holds values that are not finite in float32")
    return x


def _dense(X: Any) -> ArrayLike:
    """Returns a sparse matrix with its zeros; raises ValueError where they are too many."""
    if np.prod(X.shape, dtype=float) > _MOST_DENSE:
        raise ValueError(
            f"X is sparse of the shape {list(X.shape)}; heads are fitted on dense features, of "
            f"which {_MOST_DENSE:.1e} numbers are the most: give fewer columns"
        )
    return X.toarray()


def _labels(y: ArrayLike, rows: int) -> Shaped[np.ndarray, " N"]:
    """Returns y as an array; raises ValueError where a label is missing, or is none."""
    labels = np.asarray(y)
    if labels.shape != (rows,):
        raise ValueError(f"y has the shape {list(labels.shape)}; X has {rows} rows")
    # NumPy makes texts of what a list holds beside texts: the list itself says what that was.
    each = np.asarray(y, object) if labels.dtype.kind in "OU" else labels
    if (missing := pd.isna(each)).any():
        row = int(missing.argmax())
        raise ValueError(f"y[{row}] is {each.tolist()[row]}; leave this row out of X and y")
    if labels.dtype.kind == "f" and not np.all(labels == np.floor(labels)):
        raise ValueError("y holds numbers that are no labels: they are not whole")
    try:
        sorted(set(each.tolist()))
    except TypeError:
        types = sorted({type(label).__name__ for label in each})
        raise ValueError(
            f"y holds labels that cannot be sorted, of the types {', '.join(types[:_SHOWN])}; "
            "give texts alone, or whole numbers alone"
        ) from None
    return labels


def _column_names(X: Any) -> list[str] | None:
    """Returns the names of a table's columns; None where they are no texts."""
    names = list(getattr(X, "columns", []))
    return names if names and all(isinstance(name, str) for name in names) else None


def _fit(train: TaskRows, draws: Sequence[Draw], probe: Probe) -> FittedHeads:
    return find_kind(probe.kind).fit(train, draws, np.array(probe.strengths), probe)


def _scores_on_others(
    train: TaskRows, draws: Sequence[Draw], fitted: FittedHeads
) -> list[dict[str, Any]]:
    """Returns the metrics [S] of each draw's heads on the rows that it lacks, a draw an entry."""
    found = []
    for r, draw in enumerate(draws):
        rest = np.ones(len(train.x), bool)
        rest[draw.rows] = False
        found.append(_scores_on(train, fitted.head[:, r], rest))
    return found


def _scores_on_folds(train: TaskRows, draw: Draw, probe: Probe, seed: int) -> list[dict[str, Any]]:
    """Returns the means [S] of the metrics over folds that fits of all other rows did not see."""
    masks = held_out_rows(train.classes, "folds", seed)
    if not len(masks):
        return [_scores_on(train, np.empty((len(probe.strengths), 0, 0)), draw.rows < 0)]
    fitted = _fit(train, [draw._replace(rows=np.flatnonzero(~mask)) for mask in masks], probe)
    found = [_scores_on(train, fitted.head[:, f], mask) for f, mask in enumerate(masks)]
    means = {name: np.mean([each[name] for each in found], axis=0) for name in found[0]}
    return [means | {"held_out": np.full(len(probe.strengths), len(train.x))}]


def _scores_on(
    train: TaskRows, heads: Float[np.ndarray, "S D1 K1"], rows: Bool[np.ndarray, " N"]
) -> dict[str, Any]:
    """Returns `held_out`, the number of rows, and the metrics of S heads on them; NaN on none."""
    held_out = np.full(len(heads), rows.sum())
    if not rows.any():
        nothing = score(np.zeros((1, 1, 1)), np.zeros(1, np.int64))
        return {"held_out": held_out} | {name: np.full(len(heads), np.nan) for name in nothing}
    values = decision_values(train.x[rows], heads[:, None])[:, 0]
    return {"held_out": held_out} | score(values, train.classes[rows])


def _table(
    shots: int | None,
    seeds: Sequence[int | None],
    strengths: Sequence[float],
    held_out: Sequence[dict[str, Any]],
    fitted: FittedHeads,
) -> pd.DataFrame:
    """Returns the rows of `scores_` of one number of shots: every strength with every seed."""
    rows = [
        {"shots": shots, "seed": seed, "C": C}
        | {name: values[s].item() for name, values in held_out[r].items()}
        | {name: getattr(fitted, name)[s, r].item() for name in _FACTS}
        for s, C in enumerate(strengths)
        for r, seed in enumerate(seeds)
    ]
    return pd.DataFrame(rows).astype({"shots": "Int64", "seed": "Int64"})


def _best(scores: pd.DataFrame) -> int:
    """Returns the row of the head that predicts; see `JointLogistic.best_index_`."""
    most = (
        scores["shots"].isna()
        if scores["shots"].isna().any()
        else (scores["shots"] == scores["shots"].max())
    )
    mean = scores[most].groupby("C", sort=False)["MCC"].mean()
    C = min(mean.index, key=lambda C: abs(np.log(C))) if mean.isna().all() else mean.idxmax()
    return int(np.flatnonzero(most & (scores["C"] == C))[0])
