"""How logistic heads may be fitted: a table of names and numbers that needs no JAX."""

import math
from collections.abc import Mapping
from typing import NamedTuple


class Stopping(NamedTuple):
    """Says when a fit stops.

    Attributes:
        gradient: Norm of the gradient at which it stops.
        decrease: Decrease of the objective f in one iteration, relative to max(|f|, 1), at which
            it stops.
        iterations: Largest number of iterations.
    """

    gradient: float
    decrease: float
    iterations: int


class Solver(NamedTuple):
    """Says how heads are fitted.

    Attributes:
        whitened: True: in the eigenbasis of the features' covariance, to the optimum. False: on
            the features as they are, from zero, as scikit-learn does.
        stopping: When a fit stops.
        rounded: Whether products with features that heads share are float32; all else is float64.
        optax: Whether `optax.lbfgs` takes the steps, in a compiled program whatever the sizes of
            the rows; otherwise they are those of SciPy's L-BFGS-B.
    """

    whitened: bool
    stopping: Stopping
    rounded: bool = False
    optax: bool = False


MEMORY = 10  # pairs that L-BFGS remembers; SciPy's default
MAX_EVALUATIONS = 50  # of one line search; scikit-learn's `maxls`

# scikit-learn's: tol=1e-4, max_iter=1000, ftol = 64 eps of float64.
_HARNESS = Stopping(1e-4, 64 * 2.0**-52, 1000)
SOLVERS: Mapping[str, Solver] = {
    # As scikit-learn 1.5 fits float32 features: it casts them to float64.
    "geneb": Solver(False, _HARNESS),
    # As later versions do.
    "geneb-float32": Solver(False, _HARNESS, rounded=True),
    # In whitened coordinates, where a step of 1 is about right in every direction.
    "converged": Solver(True, Stopping(1e-8, 0.0, 20000)),
    # A gradient of float32 products is known to some 1e-7.
    "converged-float32": Solver(True, Stopping(1e-5, 1e-9, 2000), rounded=True),
    # The same optimum by another library's L-BFGS, which stops at the gradient alone.
    "optax": Solver(True, Stopping(1e-8, -math.inf, 20000), optax=True),
}
