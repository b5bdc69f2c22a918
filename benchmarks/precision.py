"""What does bfloat16 change in a model's MCC? `python -m benchmarks.precision --tasks_dir DIR ...`

Two runs in one workdir, in float32 and in bfloat16, on the same tasks, regimes and seeds; a
killed one goes on where it was, and other models and tasks are added. Models with random weights
stand for the real ones where there are no checkpoints (`--checkpoints_dir` names them; otherwise
random ones of full size have the tokenizers of the fixtures).

The table has one row a model and regime: mean and largest |difference| of a task's MCC, which is
the mean over seeds; the same difference with its sign, which says whether bfloat16 costs anything;
and the standard deviation over seeds, which the differences are small beside or not (none in
`full`, whose fit does not depend on the seed).
"""

import argparse
import shutil
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.embedding_engine import FIXTURES
from geneb_jax.config import default_config
from geneb_jax.run import run
from model_ports.loading.identity import text_files

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


def print_table(rows: pd.DataFrame, console: Console) -> None:
    """Prints what `differences` returns."""
    table = Table(title="MCC in bfloat16 against float32")
    for name in ("model", "regime", "tasks", "mean |d|", "largest |d|", "mean d", "std over seeds"):
        table.add_column(name, justify="left" if name == "model" else "right", no_wrap=True)
    for row in rows.to_dict("records"):
        figures = (f"{row[name]:.4f}" for name in ("mean", "largest"))
        table.add_row(
            row["model"],
            row["regime"],
            str(row["tasks"]),
            *figures,
            f"{row['signed']:+.4f}",
            f"{row['seeds']:.4f}",
        )
    console.print(table)


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks_dir", type=Path, required=True)
    parser.add_argument("--tasks", default="all", help="as config.tasks")
    parser.add_argument("--models", default=",".join(MODELS), help="as config.models")
    parser.add_argument("--checkpoints_dir", help="as config.checkpoints_dir")
    parser.add_argument("--max_train", type=int, default=0, help="as config.max_train")
    parser.add_argument("--workdir", type=Path, required=True)
    options = parser.parse_args()
    options.checkpoints_dir = options.checkpoints_dir or str(
        tokenizers(FIXTURES, options.workdir / "tokenizers")
    )
    config = default_config()
    for name in ("tasks", "models", "checkpoints_dir", "max_train"):
        config[name] = getattr(options, name)
    config.tasks_dir = str(options.tasks_dir)
    config.report = False
    scores = pd.DataFrame()
    for config.dtype in DTYPES:
        scores = run(config, options.workdir).scores
    print_table(differences(scores), Console(width=150))


if __name__ == "__main__":
    main()
