"""The evaluation as one call from Python: `geneb_jax.evaluate(model, tasks=...)`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from geneb_jax.config import Settings, default_config, parse_config
from geneb_jax.embedding.functions import Embed, FunctionSource
from geneb_jax.embedding.given_names import check_name
from geneb_jax.embedding.source import Source
from geneb_jax.embedding.store import folder_of_stores
from geneb_jax.files.names import file_name
from geneb_jax.run import run

# Fields of the config that a function has no use for.
_OF_PORTS = {"taps", "poolings", "window", "preset", "published_batch_size", "dtype", "plan"}


def evaluate(
    model: str | Sequence[str] | Embed,
    *,
    name: str | None = None,
    tasks: str = "all",
    workdir: str | Path = "runs/notebook",
    batch_size: int = 64,
    progress: bool = True,
    **fields: Any,
) -> pd.DataFrame:
    """Evaluates a model on tasks: `geneb_jax.evaluate(model, tasks="Promoters")`.

    The protocol, the cache and the progress are those of `geneb-jax run`. What is finished in the
    workdir is not computed again.

    Args:
        model: What `config.models` takes, one or several (in a list, or with commas), such as
            'kmer-4', 'hf:FOLDER' or a model's id; or a function that takes a list of N sequences
            and returns their embeddings, numbers [N, D] as NumPy reads them.
        name: What a function is called in the scores. Its embeddings are kept under this name, so
            another function needs another name. Not given with a model that has a name.
        tasks: What `config.tasks` takes: task ids, categories, suites, 'sentinel', 'synthetic' or
            'all', with commas.
        workdir: Keeps embeddings and scores.
        batch_size: The most sequences that a function is given at once; they are of like length.
        progress: Whether progress and tables are printed.
        **fields: Other fields of the config, such as `tasks_dir`, `seeds` or `letters`. `report`,
            tables, figures and report in the workdir, is False here by default, and `fail_fast`
            True.

    Returns:
        The scores that were asked for, as scores.csv has them: one row a model, task, regime, probe
        and seed.

    Raises:
        ConfigError: Lists everything that is wrong with the fields, the models and the tasks.
        FunctionError: The function returns something else than numbers [N, D].
        ValueError: A function has no name, or one that is taken; or a model was given one.
    """
    if "models" in fields:
        raise ValueError("models: the first argument says which model, or several with commas")
    if isinstance(model, Sequence) and not isinstance(model, str):
        model = ",".join(model)
    config = default_config()
    texts = {n: str(value) if isinstance(value, Path) else value for n, value in fields.items()}
    config.update({"report": False, "fail_fast": True, "tasks": tasks, **texts})
    if isinstance(model, str):
        if name is not None:
            raise ValueError(f"name={name!r}: model {model!r} has a name; a function is given one")
        given: Mapping[str, Source] = {}
        config.models = model
    else:
        if unused := sorted(fields.keys() & _OF_PORTS):
            raise ValueError(f"{unused[0]}: a function decides itself how it embeds; leave it out")
        source = _source_of(model, name, batch_size, Path(workdir), parse_config(config))
        given = {source.name: source}
        config.models = source.name
    console = Console(quiet=True) if not progress else None
    return run(config, Path(workdir), console, given).asked.reset_index(drop=True)


def _source_of(
    function: Embed, name: str | None, batch_size: int, workdir: Path, settings: Settings
) -> FunctionSource:
    if not callable(function):
        raise ValueError(f"model is {function!r}; give a model's name, or a function")
    if name is None:
        raise ValueError("name is needed with a function: its embeddings are kept under it")
    check_name(name, "name='mine'")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}; at least 1 is needed")
    root = folder_of_stores(settings.embedding.embeddings_dir, workdir)
    return FunctionSource(name, function, batch_size, root / file_name(name))
