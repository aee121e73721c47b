"""Measures a design on a device, and makes a latency table of it.

Models go to the device in batches of all kinds, in random order, and every batch visits its models in
turns: so a slow moment of the device hits many of them a little instead of one of them hard. A time is the
median over visits. A reference kernel takes part in every batch; where it took longer than usual, or where
the visits of a model differ much, that is measured again, and the quietest time counts. Each batch is kept
in a journal, so that an interrupted measurement goes on where it stopped.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from sparsenas import __version__
from sparsenas.errors import UserError
from sparsenas.latency.design import Design, NamedNetwork
from sparsenas.latency.device import Device, Lost, Visits
from sparsenas.latency.journal import Batch, Journal, Row
from sparsenas.latency.layer_text import bare
from sparsenas.latency.sampling import dense_parameters
from sparsenas.latency.subjects import Subject, layer_subject, network_subject
from sparsenas.latency.table import Measurement, NetworkMeasurement, Table
from sparsenas.space import Layer
from sparsenas.sparsity.patterns import Unstructured

Report = Callable[[int, int, str], None]
"""`(items measured, items in all, what remains)`."""

# The visits of a model differ too much where the quartiles are further apart than this part of the median.
_NOISY = 0.05
# A batch is measured again where the reference kernel is so far from its median.
_DRIFTED = 0.04
_MOST_REPEATS = 3
# A batch: models and weights that are in memory together.
_BATCH_ITEMS, _BATCH_WEIGHTS = 48, 16_000_000
# Of all layers, the part that is measured with further numbers of threads: those with most to do.
_THREADED_SHARE = 0.2
# Seconds to wait before each attempt to find a lost device again.
_PATIENCE = (1.0, 4.0, 15.0)
_REFERENCE = Layer(
    name="reference", op="conv1x1", inputs=(), c_in=128, c_out=128, height=28, width=28,
    pattern=Unstructured(), sparsity=0.9,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Item:
    """One thing that is measured: a layer or a network, and the list of the table where it goes."""

    what: Layer | NamedNetwork
    threads: int
    role: str

    @property
    def weights(self) -> int:
        return dense_parameters([self.what] if isinstance(self.what, Layer) else self.what.layers)

    def subject(self, seed: int) -> Subject:
        if isinstance(self.what, Layer):
            return layer_subject(self.what, seed=seed)
        return network_subject(self.what.layers, seed=seed)


def run(
    design: Design,
    device: Device,
    *,
    journal: Path | None = None,
    seed: int = 0,
    report: Report = lambda done, total, note: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Table:
    """Measures what the journal does not have yet, then what was noisy, and returns the table.

    Args:
        device: connected.
        journal: a file that is made and goes on; the caller deletes it when the table is written.
        seed: of weights and order.
        sleep: waits so many seconds.

    Raises:
        UserError: where the device is lost and stays so, or the journal belongs to another measurement.
    """
    campaign = _Campaign(design, device, journal, seed, report, sleep)
    try:
        campaign.measure()
    finally:
        campaign.close()
    return campaign.table()


class _Campaign:
    def __init__(
        self,
        design: Design,
        device: Device,
        journal: Path | None,
        seed: int,
        report: Report,
        sleep: Callable[[float], None],
    ) -> None:
        self._design, self._device, self._seed = design, device, seed
        self._report, self._sleep = report, sleep
        self._items = list(_items(design))
        self._reference = layer_subject(_REFERENCE, seed=seed)
        self._batches: list[Batch] = []
        identity = {
            "device": device.name, "build": device.build, "design": f"{design.name}, {design.fingerprint()}",
            "cpu": device.machine["cpu"], "isa": device.machine["isa"], "rounds": design.rounds, "seed": seed,
        }  # fmt: skip
        self._journal = Journal(journal, identity) if journal else None
        if self._journal:
            self._batches += self._journal.batches
        before = self._batches[-1].seconds if self._batches else 0.0
        self._started = time.perf_counter() - before
        self._session = (time.perf_counter(), len(self._best()))

    def close(self) -> None:
        if self._journal:
            self._journal.close()

    def measure(self) -> None:
        order = np.random.default_rng(self._seed).permutation(len(self._items))
        known = self._best()
        self._tell()
        for batch in self._chunks([i for i in order if i not in known]):
            self._take(batch)
        for _ in range(_MOST_REPEATS):
            for batch in self._chunks(self._noisy()):
                if self._seconds() >= self._design.seconds:
                    return
                self._take(batch)

    def table(self) -> Table:
        best = self._best()
        layers: dict[str, list[Measurement]] = {"fit": [], "held_out": []}
        networks = []
        for i, item in enumerate(self._items):
            row = best[i]
            times = {"threads": item.threads, "us": row.us, "low_us": row.low_us, "high_us": row.high_us}
            if isinstance(item.what, Layer):
                one = Measurement(layer=bare(item.what), kernel=row.kernel, **times)
                layers[item.role].append(one)
            else:
                bared = tuple(map(bare, item.what.layers))
                networks.append(
                    NetworkMeasurement(name=item.what.name, role=item.role, layers=bared, **times)
                )
        return Table(
            device=self._device.name,
            kind=self._device.kind,
            machine=self._device.machine,
            build=self._device.build,
            version=__version__,
            how=self._how(),
            layers=tuple(layers["fit"]),
            held_out_layers=tuple(layers["held_out"]),
            networks=tuple(networks),
        )

    def _how(self) -> dict:
        references = np.array([batch.reference_us for batch in self._batches])
        usual = float(np.median(references))
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "design": self._design.name,
            "seconds": round(self._batches[-1].seconds, 1),
            "rounds": self._design.rounds,
            "threads": list(self._design.threads),
            "measured_again": sum(len(batch.rows) for batch in self._batches) - len(self._items),
            "still_noisy": len(self._noisy()),
            "drift": {
                "reference_us": round(usual, 3),
                "slowest": round(float(references.max()) / usual, 4),
                "fastest": round(float(references.min()) / usual, 4),
                "last_to_first": round(float(references[-1] / references[0]), 4),
            },
            **self._device.circumstances(),
        }

    def _best(self) -> dict[int, Row]:
        """Returns each item's quietest time."""
        best: dict[int, Row] = {}
        for batch in self._batches:
            for row in batch.rows:
                if row.item not in best or row.spread < best[row.item].spread:
                    best[row.item] = row
        return best

    def _noisy(self) -> list[int]:
        """Returns items whose best time is not to be trusted, the worst first."""
        usual = float(np.median([batch.reference_us for batch in self._batches]))
        steady = {
            row.item
            for batch in self._batches
            if abs(batch.reference_us / usual - 1) <= _DRIFTED
            for row in batch.rows
        }
        spread = {i: row.spread if i in steady else math.inf for i, row in self._best().items()}
        return sorted((i for i in spread if spread[i] > _NOISY), key=lambda i: -spread[i])

    def _chunks(self, items: Sequence[int]) -> Iterator[list[int]]:
        """Yields batches of items of one number of threads."""
        for threads in self._design.threads:
            chunk: list[int] = []
            weights = 0
            for i in (int(i) for i in items if self._items[i].threads == threads):
                item = self._items[i]
                if chunk and (len(chunk) == _BATCH_ITEMS or weights + item.weights > _BATCH_WEIGHTS):
                    yield chunk
                    chunk, weights = [], 0
                chunk.append(i)
                weights += item.weights
            if chunk:
                yield chunk

    def _take(self, items: Sequence[int]) -> None:
        subjects = [self._reference, *(self._items[i].subject(self._seed + i) for i in items)]
        visits = self._visits([one.model for one in subjects], self._items[items[0]].threads)
        reference, *rows = (
            _row(i, subject, found) for i, subject, found in zip((-1, *items), subjects, visits, strict=True)
        )
        batch = Batch(seconds=self._seconds(), reference_us=reference.us, rows=tuple(rows))
        self._batches.append(batch)
        if self._journal:
            self._journal.add(batch)
        self._tell()

    def _visits(self, models: Sequence[bytes], threads: int) -> list[Visits]:
        lost = ""
        for wait in (0.0, *_PATIENCE):
            try:
                if wait:
                    self._sleep(wait)
                    self._device.reconnect()
                return self._device.visit(models, threads=threads, rounds=self._design.rounds)
            except Lost as error:
                lost = str(error)
        kept = (
            f"{len(self._best())} of {len(self._items)} are measured; run the same command again to go on"
            if self._journal
            else "measure again"
        )
        raise UserError(f"{lost}: {kept}.")

    def _seconds(self) -> float:
        return time.perf_counter() - self._started

    def _tell(self) -> None:
        done, total = len(self._best()), len(self._items)
        started, before = self._session
        left = ""
        if done > before and done < total:
            seconds = (time.perf_counter() - started) / (done - before) * (total - done)
            left = f"about {int(seconds) // 60}:{int(seconds) % 60:02} left" if seconds >= 1 else ""
        elif done == total:
            left = f"{len(self._noisy())} to measure again"
        self._report(done, total, left)


def _items(design: Design) -> Iterator[_Item]:
    lists: Mapping[str, tuple[Sequence[Layer], Sequence[NamedNetwork]]] = {
        "fit": (design.layers, design.networks),
        "held_out": (design.held_out_layers, design.held_out_networks),
    }
    for threads in design.threads:
        for role, (layers, networks) in lists.items():
            if threads != design.threads[0]:
                busiest = sorted(layers, key=lambda layer: -layer.macs)
                layers = busiest[: round(_THREADED_SHARE * len(busiest))]
            yield from (_Item(what=what, threads=threads, role=role) for what in (*layers, *networks))


def _row(item: int, subject: Subject, visits: Visits) -> Row:
    low, us, high = np.quantile(visits.us, (0.25, 0.5, 0.75)) / subject.copies
    if not (math.isfinite(us) and low > 0):
        raise UserError(f"The device gave times of {low:g} to {high:g} us, expected numbers above 0.")
    return Row(
        item=item, us=float(us), low_us=float(low), high_us=float(high), kernel=visits.kernel_names[-1]
    )
