"""Runs, trials and networks as objects to look at in a notebook; each has a text and a table.

run = read_run(Path("runs/mine"))
run.trials.to_dataframe().plot.scatter("latency_ms", "accuracy")
Network(run.space, run.winner)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from sparsenas.cli.lookup import find_space
from sparsenas.errors import UserError
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.table import load as load_table
from sparsenas.record import Row as Noted
from sparsenas.record import read_trainings
from sparsenas.report.summary import Summary, read_summary
from sparsenas.run_folder import load_settings
from sparsenas.search_settings import SearchSettings
from sparsenas.space import Arch, Layer, Space
from sparsenas.strategies.beliefs import FILE as BELIEFS
from sparsenas.strategies.beliefs import Beliefs, read_beliefs
from sparsenas.tables import html_table
from sparsenas.trial_list import Row, read_rows

if TYPE_CHECKING:
    import pandas

_SHOWN = 20


@dataclass(frozen=True, repr=False)
class Network:
    """What an architecture of a space means.

    Attributes:
        model: predicts what each layer takes; no times are shown where left out.
    """

    space: Space
    arch: Arch
    model: LatencyModel | None = None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, in the order they run."""
        return self.space.layers(self.arch)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={option}" for name, option in self.space.describe(self.arch).items())
        return f"<{self.space.text(self.arch)} of {self.space.name}: {options}>"

    def _repr_html_(self) -> str:
        layers = self.layers
        title = (
            f"{self.space.text(self.arch)} of {self.space.name}: "
            f"{sum(layer.macs for layer in layers) / 1e6:.3g} M multiply-adds, "
            f"{sum(layer.parameters for layer in layers):,} parameters that are not 0"
        )
        columns = ["layer", "operator", "channels", "pixels", "zeros"]
        rows = [
            [
                layer.name,
                f"{layer.op} {layer.kernel}x{layer.kernel}" if layer.kernel > 1 else layer.op,
                f"{layer.c_in} to {layer.c_out}",
                f"{layer.height} x {layer.width}",
                f"{layer.sparsity:.0%} {layer.pattern.name}" if layer.sparsity else "",
            ]
            for layer in layers
        ]
        if self.model is not None:
            ms = self.model.predict(layers)
            title += f", {ms:.4f} ms predicted on {self.model.device}"
            columns.append("µs")
            for row, (_, us, _) in zip(rows, self.model.breakdown(layers), strict=True):
                row.append(f"{us:.2f}")
        return html_table(title, columns, rows)


class Trials(Sequence[Row]):
    """The trials of a run, by number."""

    def __init__(self, space: Space, rows: Sequence[Row]) -> None:
        self.space = space
        self._rows = tuple(rows)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> "Trials": ...

    def __getitem__(self, index: int | slice) -> "Row | Trials":
        found = self._rows[index]
        return Trials(self.space, found) if isinstance(index, slice) else found

    def records(self) -> Iterator[dict[str, Any]]:
        """Yields each trial as a row: what is known about it, its metrics, and its options by choice."""
        for row in self._rows:
            trial = row.trial
            options = self.space.describe(self.space.parse(trial.arch))
            yield {
                "number": trial.number,
                "arch": trial.arch,
                "state": trial.state,
                **(trial.metrics or {}),
                "rung": trial.rung,
                "node": row.node,
                "seconds": row.seconds,
                "attempts": row.attempts,
                "error": trial.error,
                **options,
            }

    def to_dataframe(self) -> "pandas.DataFrame":
        """Returns a row for each trial, with its number as the index; a choice that an architecture does not
        use is missing there.

        Raises:
            UserError: where pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise UserError(
                "A data frame needs pandas, which is not installed: pip install pandas."
            ) from None
        columns = ["number", "arch", "state"]
        return pandas.DataFrame(list(self.records()), columns=None if self._rows else columns).set_index(
            "number"
        )

    def __repr__(self) -> str:
        done = sum(row.trial.state == "done" for row in self._rows)
        return f"<{len(self)} trials of {self.space.name}, {done} done>"

    def _repr_html_(self) -> str:
        scored = [row.trial for row in self._rows if "accuracy" in (row.trial.metrics or {})]
        scored.sort(key=lambda trial: -trial.metrics["accuracy"])
        rows = [
            (one.number, one.arch, f"{one.metrics['accuracy']:.2%}", f"{one.metrics['latency_ms']:.4f}")
            for one in scored[:_SHOWN]
        ]
        title = f"{len(self)} trials of {self.space.name}, the {len(rows)} most accurate"
        return html_table(title, ("trial", "architecture", "accuracy", "ms predicted"), rows)


@dataclass(frozen=True, repr=False)
class Run:
    """The folder of a run, as it is when each part is asked for."""

    folder: Path

    @cached_property
    def settings(self) -> SearchSettings:
        """What was searched, and how."""
        return load_settings(self.folder)

    @cached_property
    def space(self) -> Space:
        """The space that was searched."""
        return find_space(self.settings.space, self.settings.side)

    @property
    def trials(self) -> Trials:
        """All trials so far."""
        return Trials(self.space, read_rows(self.folder / "trials.sqlite"))

    @property
    def summary(self) -> Summary:
        """What was found; raises `UserError` before the run is finished."""
        return read_summary(self.folder / "summary.json")

    @property
    def winner(self) -> Arch:
        """The architecture that was found."""
        return self.space.parse(self.summary.arch)

    @property
    def latency(self) -> LatencyModel:
        """The latency table that was searched with."""
        return LatencyModel.from_table(load_table(self.folder / "latency.json"))

    @property
    def beliefs(self) -> Beliefs | None:
        """Probabilities of the options over time; None of strategies that have none."""
        path = self.folder / BELIEFS
        return read_beliefs(path) if path.exists() else None

    @property
    def trainings(self) -> dict[str, list[Noted]]:
        """What each training reported: steps, and numbers by name."""
        return read_trainings(self.folder)

    def __repr__(self) -> str:
        s = self.settings
        return f"<run {self.folder.name}: {s.space} on {Path(s.dataset).name}, {s.strategy}, seed {s.seed}>"

    def _repr_html_(self) -> str:
        if not (self.folder / "summary.json").exists():
            return html_table(f"{self!r}, not finished", ("trials",), [(len(self.trials),)])
        s = self.summary
        rows = [
            ("test accuracy", f"{s.dense_accuracy:.2%}", f"{s.accuracy:.2%}"),
            ("latency, measured", f"{s.dense_latency_ms_measured:.4f} ms", f"{s.latency_ms_measured:.4f} ms"),
            ("model file", f"{s.dense_file_bytes:,} bytes", f"{s.file_bytes:,} bytes"),
        ]
        return html_table(f"{self!r}: {s.speedup:.2f} times as fast", ("", "dense twin", "found"), rows)


def read_run(folder: Path | str) -> Run:
    """Returns the run in a folder; raises `UserError` where there is none."""
    run = Run(Path(folder))
    load_settings(run.folder)
    return run
