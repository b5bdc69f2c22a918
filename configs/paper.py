"""The paper's tables and figures, and the report, from scores that are there already.

python run.py --config=configs/paper.py --workdir=runs/paper                           # published
python run.py --config=configs/paper.py --workdir=runs/mine --config.scores=runs/full  # of a run

Computes no embedding; half a minute. Expect 117 numbers that the paper prints beside ours, all
but one equal as printed.
"""

from ml_collections import ConfigDict

from geneb_jax.config import default_config


def get_config() -> ConfigDict:
    """Returns the config that presents the published scores."""
    config = default_config()
    config.scores = "published"
    return config
