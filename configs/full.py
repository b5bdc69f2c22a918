"""All 40 models, all 100 tasks, all regimes: the whole of GENEB.

python run.py --config=configs/full.py --workdir=runs/full

Tasks and checkpoints come from the hub at their pinned revisions, or from folders:
--config.tasks_dir=DIR --config.checkpoints_dir=DIR (one folder a model id).
"""

from ml_collections import ConfigDict

from geneb_jax.config import default_config


def get_config() -> ConfigDict:
    """Returns the defaults: they are GENEB's protocol."""
    return default_config()
