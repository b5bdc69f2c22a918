"""`python -m model_ports`: the commands of `model_ports.commands`."""

import argparse
import sys

from model_ports import commands

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m model_ports", description=commands.HELP)
    commands.add_arguments(parser)
    sys.exit(commands.main(parser.parse_args()))
