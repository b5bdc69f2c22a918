"""`python -m model_ports`: the commands of `geneb-jax models`."""

import sys

from model_ports.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], "python -m model_ports"))
