"""Trainings that together show one thing, and the table of what came out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sparsenas import files
from sparsenas.errors import UserError
from sparsenas.progress import Progress
from sparsenas.single.conclusion import TrainSummary, read_summary
from sparsenas.single.finished import load_trained
from sparsenas.single.run import load_run, open_run, run
from sparsenas.single.settings import TrainSettings, architecture
from sparsenas.space import Space

COLUMNS = ("training", "test accuracy", "weights left", "zeros", "multiply-adds", "predicted ms", "file kB")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training of a series.

    Attributes:
        arch: option indices joined by '-', or a name, as for `sparsenas train`.
        settings: `start` and `teacher` may name an earlier job of the series.
    """

    arch: str
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
    find_space: Callable[[str], Space],
    *,
    dataset: str | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[str, TrainSummary]]:
    """Trains what is not trained yet, and yields what came out, job by job.

    Each job is a run in a folder of its own, `folder` / its name; at the end `results.md` holds the table.

    Args:
        find_space: name of a space to the space.
        dataset: instead of the one that the jobs name.
        limit: at most this many images of each split.

    Raises:
        UserError: where a run was made with other settings.
    """
    found: dict[str, TrainSummary] = {}
    for name, job in series.jobs.items():
        changes = {"dataset": dataset, "limit": limit}
        changes |= {
            key: str(folder / value)
            for key in ("start", "teacher")
            if (value := getattr(job.settings, key)) in series.jobs
        }
        settings = replace(
            job.settings, **{key: value for key, value in changes.items() if value is not None}
        )
        found[name] = _run_job(settings, job.arch, folder / name, find_space, progress)
        yield name, found[name]
    files.write(folder / "results.md", _markdown(series, found))


def row(name: str, summary: TrainSummary) -> tuple[str, ...]:
    """Returns a training as a row of the table of `COLUMNS`."""
    ms = summary.latency_ms_predicted
    return (
        name,
        f"{summary.accuracy:.2%}",
        f"{summary.nonzeros:,}",
        f"{summary.sparsity:.1%}",
        f"{summary.macs / 1e6:.2f} M",
        "" if ms is None else f"{ms:.4f}",
        f"{summary.file_bytes / 1e3:.1f}",
    )


def _run_job(
    settings: TrainSettings,
    text: str,
    folder: Path,
    find_space: Callable[[str], Space],
    progress: Progress | None,
) -> TrainSummary:
    space = find_space(settings.space)
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
    return run(settings, space, arch, folder, start=start, teacher=teacher, progress=progress)


def _markdown(series: Series, found: Mapping[str, TrainSummary]) -> str:
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(row(name, summary) for name, summary in found.items())]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    return f"{series.claim} ({series.paper})\n\n{table}\n"
