"""Evaluates genomic foundation models as GENEB does: the same as `geneb-jax run`.

python run.py --config=configs/quickstart.py --workdir=runs/quickstart
"""

import sys

from geneb_jax.commands import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
