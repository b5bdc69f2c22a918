"""What does bfloat16 change in a model's MCC? `python -m benchmarks.precision --tasks_dir DIR ...`

Two runs in one workdir, in float32 and in bfloat16, on the same tasks, regimes and seeds; a
killed one goes on where it was, and other models and tasks are added. Models with random weights
stand for the real ones where there are no checkpoints (`--checkpoints_dir` names them; otherwise
random ones of full size have the tokenizers of the fixtures).

The table has one row a model and regime: `mean` and `largest` |difference| of a task's MCC, which
is the mean over seeds; the mean difference with its sign (`signed`), which says whether bfloat16
costs anything; and the standard deviation over `seeds`, which the differences are small beside or
not (none in `full`, whose fit does not depend on the seed).

Needs a folder of tasks, and a clone where no checkpoints are named. `--out` holds the rows, when
both runs have ended; the runs' own files are in `--workdir`.
"""

import shutil
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from benchmarks.needs import FIXTURES, begin, fixtures, folder, new_parser, task_files
from benchmarks.rows import Rows
from geneb_jax.config import default_config
from geneb_jax.run import run
from model_ports.loading.identity import text_files

COLUMNS = {
    "model": "56s", "regime": "8s", "tasks": "5", "mean": "7.4f", "largest": "7.4f",
    "signed": "+7.4f", "seeds": "7.4f",
}  # fmt: skip
DTYPES = ("float32", "bfloat16")
# One of each kind of arithmetic: attention and its gated, grouped and rotated forms, long
# convolutions, selective scans.
MODELS = (
    "nucleotide-transformer-v2-50m-multi-species:random",
    "dnabert2-no-flashattention:random",
    "hyenadna-medium-160k-seqlen-hf:random",
    "caduceus-ph_seqlen-1k_d_model-256_n_layer-4_lr-8e-3:random",
    "GenomeOcean-500M:random:tiny",
)


def differences(scores: pd.DataFrame) -> pd.DataFrame:
    """Compares the precisions of each model and regime.

    Args:
        scores: A scores table with rows in float32 and in bfloat16.

    Returns:
        Rows by model and regime: `tasks`, the tasks that both precisions have; `mean` and
        `largest` |MCC difference|; `signed`, the mean difference bfloat16 - float32; `seeds`,
        the standard deviation of float32's MCC over seeds, mean over tasks.
    """
    cells = scores.groupby(["dtype", "model", "regime", "task"], sort=False)["MCC"]
    means, spread = cells.mean().unstack("dtype"), cells.std(ddof=1).unstack("dtype")
    change = (means["bfloat16"] - means["float32"]).dropna()
    by = change.groupby(["model", "regime"], sort=False)
    own = spread["float32"].loc[change.index].groupby(["model", "regime"], sort=False)
    return pd.DataFrame(
        {
            "tasks": by.size(),
            "mean": change.abs().groupby(["model", "regime"], sort=False).mean(),
            "largest": change.abs().groupby(["model", "regime"], sort=False).max(),
            "signed": by.mean(),
            "seeds": own.mean(),
        }
    ).reset_index()


def tokenizers(fixtures: Path, to: Path) -> Path:
    """Copies the tokenizers of fixtures without their config.json, which is that of small models.

    Returns:
        The folder that has them, by model id.
    """
    for fixture in filter(Path.is_dir, fixtures.iterdir()):
        folder = to / fixture.name
        folder.mkdir(parents=True, exist_ok=True)
        for path in text_files(fixture):
            if path.name not in ("config.json", "meta.json"):
                shutil.copyfile(path, folder / path.name)
    return to


def main() -> None:
    """Runs what is missing and adds the rows."""
    parser = new_parser(__doc__)
    parser.add_argument("--tasks_dir", type=Path, required=True)
    parser.add_argument("--tasks", default="all", help="as config.tasks")
    parser.add_argument("--models", default=",".join(MODELS), help="as config.models")
    parser.add_argument("--checkpoints_dir", type=Path, help="as config.checkpoints_dir")
    parser.add_argument("--max_train", type=int, default=0, help="as config.max_train")
    parser.add_argument("--workdir", type=Path, required=True)

    def needs(options: Namespace) -> Iterator[str]:
        yield from task_files(options.tasks_dir)
        given = options.checkpoints_dir
        yield from folder(given, "name a folder of checkpoints") if given else fixtures()

    options = begin(parser, needs)
    config = default_config()
    for name in ("tasks", "models", "max_train"):
        config[name] = getattr(options, name)
    config.checkpoints_dir = str(
        options.checkpoints_dir or tokenizers(FIXTURES, options.workdir / "tokenizers")
    )
    config.tasks_dir = str(options.tasks_dir)
    config.report = False
    scores = pd.DataFrame()
    for config.dtype in DTYPES:
        scores = run(config, options.workdir).scores
    rows = Rows(COLUMNS, options.out)
    for row in differences(scores).to_dict("records"):
        rows.add({str(name): value for name, value in row.items()})


if __name__ == "__main__":
    main()
