"""Does a run that is killed, and whose files are damaged, end as an undisturbed one?

    python -m benchmarks.stress --kills 100 --folder FOLDER
    python -m benchmarks.stress --minutes 5 --seed 7 --processes 2

A small run (k-mers, two tiny ports with random weights, embeddings from files, three tasks) is
started again and again, and each time killed at a moment drawn over the whole length of an
undisturbed one, early moments more often than late ones. One in six is sent SIGTERM, SIGINT or
SIGUSR1 instead, which it must answer with status 4. Before most restarts files of any kind are
damaged: see `benchmarks.stress_tears`. When a run finishes, all final files are compared with those
of an undisturbed run of one process: see `benchmarks.stress_finals`. Then it goes on in the same
folder, with damaged files, or in a new one.

A start costs no imports: runs are forks of a process that has imported everything and has not used
JAX yet. The same seed draws the same moments and damages; where a killed run was at its moment is
the machine's. `--folder` takes the folder of each round that differed.

Needs Linux. A row is the figure so far, after each round (see `Figure`); `--out` holds them, with
the number of torn files by their `kinds` and the words of all faults. Status 1: there are faults.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
from absl import logging

from benchmarks.needs import begin, linux, new_parser
from benchmarks.rows import Row, Rows
from benchmarks.stress_finals import differences, finals
from benchmarks.stress_tears import OF_STORES, tear
from geneb_jax.ownership import OWNER
from model_ports.exits import DONE, FAILED, INTERRUPTED

# Tasks of the benchmark, so that there are submissions, and the generated ones that stand for them.
TASKS = {
    "InstaDeepAI_nucleotide_transformer_downstream_tasks_promoter_all": "synthetic_tata_promoter",
    "InstaDeepAI_nucleotide_transformer_downstream_tasks_enhancers": "synthetic_cpg_regulatory",
    "InstaDeepAI_nucleotide_transformer_downstream_tasks_H3": "synthetic_nucleosome_positioning",
}
MODELS = (
    "kmer-2",
    "kmer-3",
    "nucleotide-transformer-v2-50m-multi-species:random:tiny",
    "hyenadna-medium-160k-seqlen-hf:random:tiny",
    "mine=embeddings:given",
)
ROWS = {"train": 120, "test": 60}
WIDTH = 2000  # of the given embeddings: their files are large enough for the cache of digests
WORDS = (
    "run",
    "--config=quickstart",
    "--config.audit=True",
    "--workdir=work",
    f"--config.models={','.join(MODELS)}",
    "--config.tasks=all",
    "--config.tasks_dir=tasks",
    "--config.seeds=13,17,42,123,997",
    "--config.batch_tokens=2048",
    "--config.save_predictions=True",
)
# A report takes most of a run's time: without one the moments fall on the computation.
VARIANTS: Mapping[str, Sequence[str]] = {
    "report": (),
    "embeddings_dir": ("--config.embeddings_dir=embeddings", "--config.report=False"),
}
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
SIGNALLED = 1 / 6  # of the interruptions; the others are kills
COLUMNS = {
    "seconds": "7.0f", "kills": "5", "signals": "7", "torn": "5", "restarts": "8", "finished": "8",
    "forced": "6", "faults": "6", "differing": "9",
}  # fmt: skip
TORN = 0.7  # of the restarts find damaged files
MOST_TORN = 4
EARLY = 3  # the power of a random share of the length: a run that goes on is shorter
UNDISTURBED = 1 / 12  # of the starts are not interrupted, however slow the machine is meanwhile
AGAIN = 0.3  # of the finished runs go on, damaged, in the same folder
PATIENCE = 120.0  # seconds that a run may take after which it counts as hanging
PEER_PATIENCE = 30.0  # seconds that the others have once a process was killed
SIGNAL_PATIENCE = 15.0  # seconds after a signal; the run itself waits for 10
_PRELOADED = (
    "geneb_jax.commands.run",
    "geneb_jax.run",
    "geneb_jax.closing",
    "geneb_jax.presentation.figures",
    "geneb_jax.embedding.ports",
    "geneb_jax.embedding.kmers",
    "geneb_jax.embedding.stored",
    "geneb_jax.embedding.hf",
    "geneb_jax.embedding.local",
    "orbax.checkpoint",
    "scipy.optimize",
)


@dataclass
class Figure:
    """What was done, and what came of it.

    Attributes:
        kills: Runs that SIGKILL ended.
        signals: Runs that another signal ended with status 4.
        restarts: Starts of a run in a folder where one had been before.
        finished: Runs that came to their end, each compared with the undisturbed one.
        torn: Files that were damaged, removed or left over, by kind.
        forced: Processes that did not end by themselves after a signal, or as the peers of one
            that was killed.
        differing: Final files that were not those of the undisturbed run.
        faults: What went otherwise, a line each: a status that is not the right one, a run that
            hangs, files that differ.
    """

    kills: int = 0
    signals: int = 0
    restarts: int = 0
    finished: int = 0
    torn: Counter[str] = field(default_factory=Counter)
    forced: int = 0
    differing: int = 0
    faults: list[str] = field(default_factory=list)

    def row(self) -> Row:
        """Returns the figure as a row."""
        counts = {"torn": self.torn.total(), "faults": len(self.faults)}
        return vars(self) | counts | {"kinds": dict(self.torn), "words": [*self.faults]}


def write_inputs(folder: Path) -> None:
    """Writes the tasks and the given embeddings of a run into a folder."""
    from geneb_jax.tasks.synthetic import synthetic_tasks

    made = {task.info.id: task for task in synthetic_tasks()}
    (folder / "tasks").mkdir(parents=True)
    (folder / "given").mkdir()
    for number, (name, synthetic) in enumerate(TASKS.items()):
        rng = np.random.default_rng(number)
        lines, arrays = ["text,label,split"], {}
        for split, rows in ROWS.items():
            records = getattr(made[synthetic], split)
            pairs = list(zip(records.sequences, records.labels.tolist(), strict=True))[:rows]
            lines += [f"{text},{label},{split}" for text, label in pairs]
            arrays[split] = rng.normal(size=(rows, WIDTH)).astype(np.float32)
        (folder / "tasks" / f"{name}.csv").write_text("\n".join(lines) + "\n")
        np.savez(folder / "given" / f"{name}.npz", **arrays)


def _work(words: Sequence[str], folder: Path, name: str) -> None:
    """Runs the command in a process of its own, as from a shell in a folder."""
    os.chdir(folder)
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    screen = os.open(f"{name}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(screen, number)
    from geneb_jax.commands import main as command

    status = command(words)
    for late in SIGNALS:  # the run is over; what multiprocessing still does would end with status 1
        signal.signal(late, signal.SIG_IGN)
    sys.exit(status)


class Launcher:
    """Starts runs, of one process or several on loopback, that have imported everything already."""

    def __init__(self, processes: int) -> None:
        """Prepares the process whose forks the runs are."""
        self.processes = processes
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([*_PRELOADED])

    def start(self, folder: Path, variant: str) -> list[BaseProcess]:
        """Starts the processes of a run, the first one first."""
        words = [*WORDS, *VARIANTS[variant]]
        started = []
        port = free_port()
        for number in range(self.processes):
            address = f"--config.processes={number}/{self.processes}@127.0.0.1:{port}"
            all_words = [*words, *([address] if self.processes > 1 else [])]
            arguments = (all_words, folder, f"screen-{number}")
            process = self._context.Process(target=_work, args=arguments)
            process.start()
            started.append(process)
        return started


def free_port() -> int:
    """Returns a port of the loopback interface that nobody uses."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


class Stress:
    """Runs that are disturbed, and the figure of what came of it.

    Attributes:
        out: Takes the rounds' folders; those in which nothing differed are removed.
        figure: What was done so far.
    """

    def __init__(self, out: Path, seed: int, processes: int = 1):
        """Makes the undisturbed runs, whose final files all others must have.

        Raises:
            RuntimeError: An undisturbed run fails.
        """
        self.out = out
        self.figure = Figure()
        self._rng = random.Random(seed)
        self._launcher, self._alone = Launcher(processes), Launcher(1)
        self._inputs = out / "inputs"
        self._round = 0
        write_inputs(self._inputs)
        self.expected: dict[str, dict[str, str]] = {}
        self.seconds: dict[str, float] = {}
        self._undisturbed(self._launcher, next(iter(VARIANTS)), "first")  # compiles
        for variant in VARIANTS:
            start = time.monotonic()
            self.expected[variant] = finals(self._undisturbed(self._alone, variant, variant))
            self.seconds[variant] = time.monotonic() - start

    def round(self, kills: int, until: float) -> None:
        """Disturbs a run until it has finished, again and again in one folder or once.

        Args:
            kills: No run is disturbed any more once there were as many kills.
            until: Nor from this time on, by `time.monotonic`.
        """
        variant = self._rng.choice([*self.expected])
        folder = self._folder(f"round-{self._round}")
        self._round += 1
        begun, damaged, faults = False, False, len(self.figure.faults)
        while len(self.figure.faults) == faults:
            enough = self.figure.kills >= kills or time.monotonic() > until
            if begun:
                self.figure.restarts += 1
                if self._rng.random() < TORN:
                    damaged |= not OF_STORES.isdisjoint(self._tear(folder))
            fresh, begun, start = not begun, True, time.monotonic()
            processes = self._launcher.start(folder, variant)
            if enough or self._rng.random() < UNDISTURBED:
                if any(statuses := self._wait(processes, PATIENCE)):
                    self._fault(f"undisturbed, status {statuses}; {_last(folder)}", folder)
                    break
            elif not self._disturb(processes, folder, self.seconds[variant]):
                continue
            if fresh:  # others may have used the machine during the undisturbed run
                seconds = time.monotonic() - start
                self.seconds[variant] = min(self.seconds[variant], seconds)
            self._compare(folder, variant, damaged)
            if enough or self._rng.random() > AGAIN:
                break
        if len(self.figure.faults) == faults:
            shutil.rmtree(folder)

    def _undisturbed(self, launcher: Launcher, variant: str, name: str) -> Path:
        """Runs a variant to its end; returns the folder."""
        folder = self._folder(f"undisturbed-{name}")
        if any(statuses := self._wait(launcher.start(folder, variant), PATIENCE)):
            raise RuntimeError(f"an undisturbed run ended with {statuses}: {_last(folder)}")
        return folder

    def _folder(self, name: str) -> Path:
        """Makes a folder with the inputs, and the cache of the runs before."""
        folder = self.out / name
        folder.mkdir()
        for part in ("tasks", "given"):
            shutil.copytree(self._inputs / part, folder / part)
        (folder / "cache").symlink_to(self._inputs / "cache")
        (self._inputs / "cache").mkdir(exist_ok=True)
        return folder

    def _disturb(self, processes: Sequence[BaseProcess], folder: Path, seconds: float) -> bool:
        """Kills or signals a run within some seconds; returns whether it had finished before."""
        moment = time.monotonic() + seconds * self._rng.random() ** EARLY
        signalled = self._rng.random() < SIGNALLED
        number = self._rng.choice(SIGNALS) if signalled else signal.SIGKILL
        all_of_them = signalled or self._rng.random() < 0.5
        victims = processes if all_of_them else [self._rng.choice(processes)]
        for process in processes:
            process.join(max(0.0, moment - time.monotonic()))
        began = _owner(folder) == processes[0].pid
        sent = [process for process in victims if process.exitcode is None]
        for process in sent:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(process.pid or 0, number)
        statuses = self._wait(processes, SIGNAL_PATIENCE if signalled else PEER_PATIENCE)
        if not any(statuses):
            return True
        if signalled:
            self.figure.signals += statuses.count(INTERRUPTED)
            # Before the run has its handlers, a signal ends the process as any other; SIGINT with
            # the status that multiprocessing has for its KeyboardInterrupt, which is 1.
            wanted = {DONE, INTERRUPTED} | (set() if began else {-number, FAILED})
        else:
            self.figure.kills += statuses.count(-number)
            wanted = {DONE, -number}
        if len(processes) == 1 and not wanted.issuperset(statuses):
            what = signal.Signals(number).name if sent else "nothing was sent"
            self._fault(f"status {statuses[0]} ({what}); {_last(folder)}", folder)
        return False

    def _wait(self, processes: Sequence[BaseProcess], seconds: float) -> list[int]:
        """Returns the statuses of processes; those that do not end are killed and counted."""
        until = time.monotonic() + seconds
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
            if process.exitcode is None:
                self.figure.forced += 1
                process.kill()
                process.join()
        return [process.exitcode or 0 for process in processes]

    def _tear(self, folder: Path) -> list[str]:
        """Damages some files of a folder, notes which, and returns their kinds."""
        kinds = []
        with (folder / "torn.txt").open("a") as log:
            for _ in range(self._rng.randint(1, MOST_TORN)):
                if torn := tear(folder, self._rng):
                    kind, how, path = torn
                    kinds.append(kind)
                    log.write(f"before start {self.figure.restarts}: {how}: {path}\n")
        self.figure.torn.update(kinds)
        return kinds

    def _compare(self, folder: Path, variant: str, damaged: bool) -> None:
        """Compares the final files of a finished run with those of the undisturbed one.

        Args:
            folder: The round's.
            variant: That of the run.
            damaged: See `stress_finals.differences`.
        """
        self.figure.finished += 1
        if names := differences(finals(folder), self.expected[variant], damaged):
            self.figure.differing += len(names)
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            self._fault(f"differing: {', '.join(names[:3])}{more}", folder)

    def _fault(self, what: str, folder: Path) -> None:
        self.figure.faults.append(f"{folder.name}, restart {self.figure.restarts}: {what}")
        print(self.figure.faults[-1])


def _owner(folder: Path) -> int | None:
    """Returns the number of the process that owns the workdir of a folder; None: none does."""
    try:
        return json.loads((folder / "work" / OWNER).read_text())["process"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _last(folder: Path) -> str:
    """Returns the last lines that the first process of a run has said."""
    lines = (folder / "screen-0.txt").read_text(errors="replace").split("\n")
    return " | ".join([line for line in lines if line.strip()][-4:])


def main() -> None:
    """Disturbs runs and adds the figure's rows; ends with status 1 where there are faults."""
    parser = new_parser(__doc__)
    parser.add_argument("--kills", type=int, default=100, help="ends after as many")
    parser.add_argument("--minutes", type=float, default=60.0, help="or after as long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1, help="of a run, on loopback")
    parser.add_argument("--folder", type=Path, help="made; without, a temporary one")
    options = begin(parser, lambda _: linux())
    folder = options.folder or Path(tempfile.mkdtemp(prefix="stress"))
    folder.mkdir(parents=True, exist_ok=True)
    logging.set_verbosity(logging.ERROR)  # to compare stores warns of what is damaged there
    start = time.monotonic()
    stress = Stress(folder.absolute(), options.seed, options.processes)
    taken = " and ".join(f"{seconds:.1f} s ({name})" for name, seconds in stress.seconds.items())
    print(f"undisturbed runs take {taken}; rounds in {folder}")
    rows = Rows(COLUMNS, options.out)
    until = start + 60 * options.minutes
    while stress.figure.kills < options.kills and time.monotonic() < until:
        stress.round(options.kills, until)
        rows.add({"seconds": time.monotonic() - start} | stress.figure.row())
    kinds = ", ".join(f"{kind} {count}" for kind, count in stress.figure.torn.most_common())
    print(f"torn: {kinds}")
    sys.exit(bool(stress.figure.faults))


if __name__ == "__main__":
    main()
