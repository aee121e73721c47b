"""Trainings that together show one thing, and the table of what came out."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparsenas import files, native
from sparsenas.data import Data
from sparsenas.errors import UserError
from sparsenas.latency.measure import MeasureSettings, interleaved
from sparsenas.progress import Progress
from sparsenas.single.conclusion import TrainSummary, read_summary
from sparsenas.single.finished import load_trained
from sparsenas.single.run import load_data, load_run, open_run, run
from sparsenas.single.settings import TrainSettings, architecture
from sparsenas.space import Space

COLUMNS = (
    "training", "test accuracy", "weights left", "zeros", "multiply-adds", "predicted ms", "measured ms",
    "file kB", "minutes",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training of a series.

    Attributes:
        arch: option indices joined by '-', or a name, as for `sparsenas train`; or options by the names of
            their choices, as `Space.pick` takes them.
        settings: `start` and `teacher` may name an earlier job of the series.
    """

    arch: str | Mapping[str, Any]
    settings: TrainSettings


@dataclass(frozen=True, kw_only=True)
class Series:
    """Trainings that are compared with each other.

    Attributes:
        claim: what they are to show, or to refute.
        paper: who says so: authors, year, link.
        jobs: by name, which is that of a folder too, in the order they run.
    """

    claim: str
    paper: str
    jobs: Mapping[str, Job]


def run_series(
    series: Series,
    folder: Path,
    find_space: Callable[[str, int | None], Space],
    *,
    dataset: str | None = None,
    limit: int | None = None,
    device: str | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[str, TrainSummary]]:
    """Trains what is not trained yet, and yields what came out, job by job.

    Each job is a run in a folder of its own, `folder` / its name.

    Args:
        find_space: name of a space and side of its images to the space.
        dataset: instead of the one that the jobs name.
        limit: at most this many images of each split.
        device: the latency table, where a job names one.

    Raises:
        UserError: where a run was made with other settings.
    """
    loaded: dict[tuple, Data] = {}

    def data_of(settings: TrainSettings, space: Space) -> Data:
        key = (settings.dataset, settings.limit, settings.seed, space.image)
        if key not in loaded:
            loaded[key] = load_data(settings, space, progress)
        return loaded[key]

    for name, job in series.jobs.items():
        changes = {"dataset": dataset, "limit": limit}
        if job.settings.device is not None:
            changes["device"] = device
        changes |= {
            key: str(folder / value)
            for key in ("start", "teacher")
            if (value := getattr(job.settings, key)) in series.jobs
        }
        settings = replace(
            job.settings, **{key: value for key, value in changes.items() if value is not None}
        )
        yield name, _run_job(settings, job.arch, folder / name, find_space, data_of, progress)


@dataclass(frozen=True, kw_only=True)
class Results:
    """What came out of a series.

    Attributes:
        summaries: by job.
        measured_ms: of the model files on one core of this machine, in turns; by job.
    """

    series: Series
    summaries: Mapping[str, TrainSummary]
    measured_ms: Mapping[str, float]

    def rows(self) -> list[tuple[str, ...]]:
        """Returns the rows of the table of `COLUMNS`."""
        return [_row(name, one, self.measured_ms[name]) for name, one in self.summaries.items()]


def conclude(
    series: Series,
    summaries: Mapping[str, TrainSummary],
    folder: Path,
    *,
    rounds: int = MeasureSettings().rounds,
) -> Results:
    """Measures the model files of a finished series here, and writes `results.md` and `results.json`."""
    models = [(folder / name / "best" / "model.snas").read_bytes() for name in summaries]
    ms = dict(zip(summaries, interleaved(models, MeasureSettings(rounds=rounds)).tolist(), strict=True))
    results = Results(series=series, summaries=summaries, measured_ms=ms)
    files.write(folder / "results.md", markdown(results))
    described = {
        "claim": series.claim,
        "paper": series.paper,
        "machine": native.cpu(),
        "jobs": {
            name: {
                "accuracy": one.accuracy,
                "validation_accuracy": one.validation_accuracy,
                "nonzeros": one.nonzeros,
                "sparsity": one.sparsity,
                "macs": one.macs,
                "latency_ms_predicted": one.latency_ms_predicted,
                "latency_ms_measured": ms[name],
                "train_seconds": one.train_seconds,
            }
            for name, one in summaries.items()
        },
    }
    files.write(folder / "results.json", json.dumps(described, indent=1) + "\n")
    return results


def markdown(results: Results) -> str:
    """Returns claim and table as a part of a page."""
    series, cpu = results.series, native.cpu()
    rows = [COLUMNS, ("---",) * len(COLUMNS), *results.rows()]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    how = f"Measured on one core of {cpu['cpu']} ({cpu['isa']})."
    return f"{series.claim} ({series.paper})\n\n{table}\n\n{how}\n"


def _row(name: str, summary: TrainSummary, measured_ms: float) -> tuple[str, ...]:
    ms = summary.latency_ms_predicted
    return (
        name,
        f"{summary.accuracy:.2%}",
        f"{summary.nonzeros:,}",
        f"{summary.sparsity:.1%}",
        f"{summary.macs / 1e6:.2f} M",
        "" if ms is None else f"{ms:.4f}",
        f"{measured_ms:.4f}",
        f"{summary.file_bytes / 1e3:.1f}",
        f"{summary.train_seconds / 60:.1f}",
    )


def _run_job(
    settings: TrainSettings,
    wanted: str | Mapping[str, Any],
    folder: Path,
    find_space: Callable[[str, int | None], Space],
    data_of: Callable[[TrainSettings, Space], Data],
    progress: Progress | None,
) -> TrainSummary:
    space = find_space(settings.space, settings.side)
    text = wanted if isinstance(wanted, str) else space.text(space.pick(wanted))
    arch, settings = architecture(space, text, settings)
    if not (folder / "config.json").exists():
        open_run(folder, settings, space.text(arch))
    elif load_run(folder) != (settings, space.text(arch)):
        raise UserError(
            f"The run {str(folder)!r} was made with other settings than this series has; move it away."
        )
    if (folder / "summary.json").exists():
        return read_summary(folder / "summary.json")
    start, teacher = (
        None if other is None else load_trained(Path(other), find_space)
        for other in (settings.start, settings.teacher)
    )
    data = data_of(settings, space)
    return run(settings, space, arch, folder, data=data, start=start, teacher=teacher, progress=progress)
