"""Measures a design on a device, and makes a latency table of it.

Every round visits all models, or as many as the device takes at once, in one random order: so a slow moment
of the device hits many of them a little instead of one of them hard. Two reference kernels, one that computes
and one that waits for memory, are visited every now and then: whatever else uses the device's cores or
caches shows in them. A visit counts where both were about as fast as they are in quiet moments. What was
hardly ever visited in one, or differs much from visit to visit, is measured again, and the visits of the
batch that are most alike count. Each round is kept in a journal, so that an interrupted measurement goes on
where it stopped.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from sparsenas import __version__
from sparsenas.errors import UserError
from sparsenas.latency.design import Design, NamedNetwork
from sparsenas.latency.device import Device, Lost, Round
from sparsenas.latency.journal import Batch, Journal
from sparsenas.latency.layer_text import bare
from sparsenas.latency.subjects import Subject, layer_subject, network_subject
from sparsenas.latency.table import Measurement, NetworkMeasurement, Table
from sparsenas.space import Layer
from sparsenas.sparsity.patterns import Unstructured

Report = Callable[[int, int, str], None]
"""`(visits made, visits in all, what remains)`."""

# The visits of a model differ too much where the quartiles are further apart than this part of the median.
_NOISY = 0.04
# When time is up, so many rounds must do.
_LEAST_ROUNDS = 5
# The references are visited after every so many models.
_REFERENCE_EVERY = 24
# Of all layers, the part that is measured with further numbers of threads: those with most to do.
_THREADED_SHARE = 0.2
# Seconds to wait before each attempt to find a lost device again.
_PATIENCE = (1.0, 4.0, 15.0)
# Of a model file without weights, and of a weight with its place.
_FILE_BYTES, _WEIGHT_BYTES = 1000, 5
# Items -1 and -2: of a layer, and how much longer than in quiet moments it may take in one.
_REFERENCES = {
    -1: (
        Layer(
            name="computes", op="conv1x1", inputs=(), c_in=128, c_out=128, height=28, width=28,
            pattern=Unstructured(), sparsity=0.9,
        ),
        1.05,
    ),
    -2: (
        Layer(name="waits", op="fully_connected", inputs=(), c_in=1024, c_out=768, height=1, width=1),
        1.10,
    ),
}  # fmt: skip
# What references take in a quiet moment: this quantile of their visits.
_QUIET = 0.25
# The part of its visits that must be quiet, and how many at least.
_QUIET_SHARE = 0.25
_QUIET_LEAST = 2


@dataclass(frozen=True, kw_only=True)
class _Item:
    """One thing that is measured: a layer or a network, and the list of the table where it goes."""

    what: Layer | NamedNetwork
    threads: int
    role: str

    @property
    def bytes(self) -> int:
        """About the size of its model file."""
        layers = [self.what] if isinstance(self.what, Layer) else self.what.layers
        return _FILE_BYTES + _WEIGHT_BYTES * sum(layer.nonzeros for layer in layers)

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


class _Times:
    """Visits of one item, in each of the batches that it was in."""

    def __init__(self, kernel: str) -> None:
        self.kernel = kernel
        self._batches: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, us: np.ndarray, disturbed: np.ndarray) -> None:
        """Keeps a batch.

        Args:
            us: [rounds].
            disturbed: [rounds], how disturbed the device was, in quiet moments at most 1.
        """
        self._batches.append((us, disturbed))

    @property
    def quiet(self) -> list[np.ndarray]:
        """The quiet visits of each batch that has enough of them."""
        found = [us[disturbed <= 1] for us, disturbed in self._batches]
        least = [min(len(us), max(_QUIET_LEAST, _QUIET_SHARE * len(us))) for us, _ in self._batches]
        return [us for us, few in zip(found, least, strict=True) if len(us) >= few]

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Those of the batch where the quiet visits were most alike; without any, of the quietest visits."""
        batches = self.quiet
        if not batches:
            us, disturbed = (np.concatenate(part) for part in zip(*self._batches, strict=True))
            batches = [us[np.argsort(disturbed, kind="stable")[: math.ceil(_QUIET_SHARE * len(us))]]]
        found = [np.quantile(us, (0.25, 0.5, 0.75)).tolist() for us in batches]
        return tuple(min(found, key=lambda one: (one[2] - one[0]) / one[1]))

    @property
    def spread(self) -> float:
        """Width between the quartiles, relative to the median; infinite where there was no quiet moment."""
        low, us, high = self.quartiles
        return (high - low) / us if self.quiet else math.inf


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
        identity = {
            "device": device.name, "build": device.build, "design": f"{design.name}, {design.fingerprint()}",
            "cpu": device.machine["cpu"], "isa": device.machine["isa"], "rounds": design.rounds, "seed": seed,
        }  # fmt: skip
        self._journal = Journal(journal, identity)
        self._batches = self._journal.batches
        self._kept = journal is not None
        before = max((batch.seconds for batch in self._batches), default=0.0)
        self._began = time.perf_counter()
        self._started = self._began - before
        self._visits_before = self._visits()

    def close(self) -> None:
        self._journal.close()

    def measure(self) -> None:
        if self._batches and len(self._batches[-1].rounds) < self._batches[-1].wanted:
            self._go_on(self._batches[-1])
        known = {i for batch in self._batches if batch.rounds for i in batch.order}
        order = np.random.default_rng(self._seed).permutation(len(self._items))
        for chunk in self._chunks([int(i) for i in order if i not in known]):
            self._go_on(self._journal.begin(_with_references(chunk), self._design.rounds))
        for _ in range(self._design.repeats):
            for chunk in self._chunks(self._noisy()):
                if self._seconds() >= self._design.seconds:
                    return
                self._go_on(self._journal.begin(_with_references(chunk), self._design.rounds))

    def _go_on(self, batch: Batch) -> None:
        """Measures the rounds that a batch lacks."""
        subjects = {i: self._subject(i) for i in dict.fromkeys(batch.order)}
        models = [subjects[i].model for i in batch.order]
        threads = self._threads(batch)
        lost = ""
        for wait in (0.0, *_PATIENCE):
            try:
                if wait:
                    self._sleep(wait)
                    self._device.reconnect()
                lacking = batch.wanted - len(batch.rounds)
                for found in self._device.rounds(models, threads=threads, count=lacking):
                    self._keep(found, subjects, batch)
                    if len(batch.rounds) >= _LEAST_ROUNDS and self._seconds() >= self._design.seconds:
                        return
                return
            except Lost as error:
                lost = str(error)
        kept = "run the same command again to go on" if self._kept else "measure again"
        raise UserError(f"{lost}; {self._visits()} of {self._total()} visits are made: {kept}.")

    def _threads(self, batch: Batch) -> int:
        return next(self._items[i].threads for i in batch.order if i not in _REFERENCES)

    def _subject(self, item: int) -> Subject:
        if item in _REFERENCES:
            return layer_subject(_REFERENCES[item][0], seed=self._seed)
        return self._items[item].subject(self._seed + item)

    def _keep(self, found: Round, subjects: Mapping[int, Subject], batch: Batch) -> None:
        for us in found.us:
            if not (math.isfinite(us) and us > 0):
                raise UserError(
                    f"Device {self._device.name!r} gave a time of {us:g} us, expected one above 0."
                )
        us = tuple(time / subjects[i].copies for i, time in zip(batch.order, found.us, strict=True))
        self._journal.add(replace(found, us=us), self._seconds())
        self._tell()

    def table(self) -> Table:
        times = self._times()
        layers: dict[str, list[Measurement]] = {"fit": [], "held_out": []}
        networks = []
        for i, item in enumerate(self._items):
            low, us, high = times[i].quartiles
            found = {"threads": item.threads, "us": us, "low_us": low, "high_us": high}
            if isinstance(item.what, Layer):
                one = Measurement(layer=bare(item.what), kernel=times[i].kernel, **found)
                layers[item.role].append(one)
            else:
                bared = tuple(map(bare, item.what.layers))
                networks.append(
                    NetworkMeasurement(name=item.what.name, role=item.role, layers=bared, **found)
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
        first = self._design.threads[0]
        batches = [batch for batch in self._batches if batch.rounds and self._threads(batch) == first]
        references = np.concatenate([one.us[0].ravel() for one in map(_References, batches)])
        usual = float(np.median(references))
        part = max(1, references.size // 10)
        again = {i for batch in self._batches[len(self._first()) :] for i in batch.order}
        levels = self._levels()
        disturbed = [_References(b).disturbed(levels[self._threads(b)]) for b in self._batches if b.rounds]
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "design": self._design.name,
            "seconds": round(self._batches[-1].seconds, 1),
            "rounds": self._design.rounds,
            "threads": list(self._design.threads),
            "measured_again": len(again - set(_REFERENCES)),
            "still_noisy": len(self._noisy()),
            "drift": {
                "reference_us": round(usual, 3),
                "disturbed": round(float(np.mean(np.concatenate([d.ravel() for d in disturbed]) > 1)), 4),
                "slowest_tenth": round(float(np.quantile(references, 0.9)) / usual, 4),
                "fastest_tenth": round(float(np.quantile(references, 0.1)) / usual, 4),
                "last_to_first": round(
                    float(np.median(references[-part:]) / np.median(references[:part])), 4
                ),
            },
            **self._device.circumstances(),
        }

    def _first(self) -> list[Batch]:
        """Returns the batches that every item is in once."""
        seen: set[int] = set()
        first = []
        for batch in self._batches:
            if seen & set(batch.order) - set(_REFERENCES):
                break
            seen |= set(batch.order)
            first.append(batch)
        return first

    def _times(self) -> dict[int, _Times]:
        """Returns all visits of every item, each with how disturbed the device was."""
        times: dict[int, _Times] = {}
        levels = self._levels()
        for batch in (batch for batch in self._batches if batch.rounds):
            us = np.array([one.us for one in batch.rounds])
            disturbed = _References(batch).disturbed(levels[self._threads(batch)])
            for place, (i, kernel) in enumerate(zip(batch.order, batch.rounds[0].kernels, strict=True)):
                times.setdefault(i, _Times(kernel)).add(us[:, place], disturbed[:, place])
        return {i: one for i, one in times.items() if i not in _REFERENCES}

    def _levels(self) -> dict[int, np.ndarray]:
        """Returns what the references take in quiet moments, for each number of threads."""
        found: dict[int, list[_References]] = {}
        for batch in (batch for batch in self._batches if batch.rounds):
            found.setdefault(self._threads(batch), []).append(_References(batch))
        return {
            threads: np.array(
                [
                    np.quantile(np.concatenate([one.us[k].ravel() for one in those]), _QUIET)
                    for k in range(len(_REFERENCES))
                ]
            )
            for threads, those in found.items()
        }

    def _noisy(self) -> list[int]:
        """Returns items whose visits differ too much, the worst first."""
        spread = {i: one.spread for i, one in self._times().items()}
        return sorted((i for i in spread if spread[i] > _NOISY), key=lambda i: -spread[i])

    def _chunks(self, items: Sequence[int]) -> Iterator[list[int]]:
        """Yields as many items of one number of threads as the device takes at once."""
        for threads in self._design.threads:
            chunk: list[int] = []
            size = 0
            for i in (i for i in items if self._items[i].threads == threads):
                item = self._items[i]
                if chunk and size + item.bytes > self._device.capacity:
                    yield chunk
                    chunk, size = [], 0
                chunk.append(i)
                size += item.bytes
            if chunk:
                yield chunk

    def _seconds(self) -> float:
        return time.perf_counter() - self._started

    def _visits(self) -> int:
        """Returns how many visits the first batches have."""
        return sum(len(batch.rounds) * len(batch.order) for batch in self._batches)

    def _total(self) -> int:
        waiting = len(self._items) - len({i for b in self._batches for i in b.order} - set(_REFERENCES))
        return waiting * self._design.rounds + sum(len(b.order) * b.wanted for b in self._batches)

    def _tell(self) -> None:
        done, total = self._visits(), self._total()
        seconds = (time.perf_counter() - self._began) / (done - self._visits_before) * (total - done)
        # What is noisy is measured again for as long as there is time.
        seconds = min(max(seconds, 0.0), max(self._design.seconds - self._seconds(), 0.0))
        self._report(done, total, f"about {int(seconds) // 60}:{int(seconds) % 60:02} left")


def _with_references(items: Sequence[int]) -> list[int]:
    """Returns items in their order with the references at both ends and every now and then between."""
    order = []
    for start in range(0, len(items), _REFERENCE_EVERY):
        order += [*_REFERENCES, *items[start : start + _REFERENCE_EVERY]]
    return [*order, *_REFERENCES]


class _References:
    """What the references took in a batch.

    Attributes:
        us: of each reference, [rounds, its visits in a round].
    """

    def __init__(self, batch: Batch) -> None:
        order = np.array(batch.order)
        us = np.array([one.us for one in batch.rounds])
        self._positions = [np.flatnonzero(order == item) for item in _REFERENCES]
        self._places = np.arange(len(order))
        self.us = [us[:, positions] for positions in self._positions]

    def disturbed(self, levels: np.ndarray) -> np.ndarray:
        """Returns how disturbed the device was at every visit, [rounds, places]; in quiet moments at most 1.

        Args:
            levels: what each reference takes in quiet moments.
        """
        worst = np.zeros((len(self.us[0]), len(self._places)))
        for (_, slower), level, positions, us in zip(
            _REFERENCES.values(), levels, self._positions, self.us, strict=True
        ):
            after = np.minimum(np.searchsorted(positions, self._places), len(positions) - 1)
            around = np.maximum(us[:, np.maximum(after - 1, 0)], us[:, after])
            worst = np.maximum(worst, around / level / slower)
        return worst


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
