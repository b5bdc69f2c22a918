"""The paper's sweep of regularisation strengths, for every kind of probe.

python run.py --config=configs/sweep.py --workdir=runs/sweep

One fit serves all strengths of a kind. The run's figures/strength_sensitivity and
tables/strength_agreement show how far scores and the order of models depend on C.
"""

from ml_collections import ConfigDict

from geneb_jax.config import default_config


def get_config() -> ConfigDict:
    """Returns the config of the sweep: C in 0.01, 0.1, 1, 10, 100, all kinds."""
    config = default_config()
    config.C = "0.01,0.1,1,10,100"
    config.probes = "logistic,ridge,mlp"
    return config
