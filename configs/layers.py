"""Which hidden state carries what: every layer of a model under the same probe, from one pass.

python run.py --config=configs/layers.py --workdir=runs/layers \\
    --config.models=nucleotide-transformer-v2-50m-multi-species --config.tasks=sentinel

tables/layer_scores and figures/layers show the mean MCC by layer; scores.csv holds every hidden
state (column `tap`: 0 the embedding, i the output of block i, -1 the final one) and pooling.
Submissions and the paper's tables are of the hidden state and pooling of the preset alone.
"""

from ml_collections import ConfigDict

from geneb_jax.config import default_config


def get_config() -> ConfigDict:
    """Returns the config of the layer sweep: all hidden states, the preset's and max pooling."""
    config = default_config()
    config.taps = "all"
    config.poolings = "preset,max"
    return config
