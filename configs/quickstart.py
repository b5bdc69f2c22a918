"""Synthetic tasks, k-mer baselines and an untrained control: no network, half a minute.

python run.py --config=configs/quickstart.py --workdir=runs/quickstart

Expect the 4-mer baseline well above zero in `full` and the untrained control below it.
"""

from ml_collections import ConfigDict

from geneb_jax.config import default_config


def get_config() -> ConfigDict:
    """Returns the config of `make quickstart`."""
    config = default_config()
    config.models = "kmer-4,kmer-2,nucleotide-transformer-v2-50m-multi-species:random:tiny"
    config.tasks = "synthetic"
    config.audit = False  # generated tasks have no leaks to find
    config.batch_tokens = 2048
    return config
