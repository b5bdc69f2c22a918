"""Probes tuned on train: standardised features, C and class weight chosen per task and regime.

python run.py --config=configs/tuned.py --workdir=runs/tuned

Raw features at C = 1 handicap models whose embeddings are small, and let k-mer baselines
degenerate to the larger class. Here every model and baseline gets the same grid, chosen by the
mean MCC over five stratified folds of train; test labels are read by the final scores alone.
"""

from ml_collections import ConfigDict

from geneb_jax.config import default_config


def get_config() -> ConfigDict:
    """Returns the config of the tuned protocol."""
    config = default_config()
    config.solver = "converged"
    config.standardised = True
    config.C = "0.0001,0.001,0.01,0.1,1,10"
    config.class_weight = "none,balanced"
    config.selection = "folds"
    return config
