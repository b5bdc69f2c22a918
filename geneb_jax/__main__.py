"""`python -m geneb_jax COMMAND ...`: the console command `geneb-jax`."""

import sys

from geneb_jax.commands import main

if __name__ == "__main__":
    sys.exit(main())
