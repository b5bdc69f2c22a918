"""The paper's check on its probe: linear against MLP, and five strengths, on 11 models x 13 tasks.

python run.py --config=configs/stability.py --workdir=runs/stability

The run's tables/linear_against_mlp, tables/strength_agreement and figures/linear_against_mlp
show the outcome; tables/paper_statistics puts it beside the paper's (rho 0.964 over cells, 0.973
over models; mean pairwise rank correlation over C of 0.766 full, 0.805 10-shot, 0.993 1-shot).
"""

from ml_collections import ConfigDict

from geneb_jax.config import default_config

MODELS = (
    "GENERator-eukaryote-3b-base",
    "LucaOne-default-step36M",
    "GENERator-eukaryote-1.2b-base",
    "GenomeOcean-4B",
    "Omni-DNA-1B",
    "GenomeOcean-500M",
    "gena-lm-bert-large-t2t",
    "GROVER",
    "MutBERT",
    "hyenadna-large-1m-seqlen-hf",
    "nucleotide-transformer-v2-50m-multi-species",
)


def get_config() -> ConfigDict:
    """Returns the config of the paper's appendix E."""
    config = default_config()
    config.models = ",".join(MODELS)
    config.tasks = "stability"
    config.probes = "logistic,mlp"
    config.C = "0.01,0.1,1,10,100"
    return config
