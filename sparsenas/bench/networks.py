"""Whole reference networks with random weights, in this runtime and in other engines.

The dense twin of a sparse network takes its turns with it.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparsenas import __version__, native
from sparsenas.bench.machine import cores_of, on_cores
from sparsenas.bench.peers.contest import Entrant, Note, Subject, Variant, enter, prepare, take_turns
from sparsenas.bench.peers.process import ENGINES, OURS, PEERS, find_pythons
from sparsenas.errors import UserError
from sparsenas.networks.catalog import REFERENCES

# Those that most papers have figures of.
NETWORKS = ("mobilenet_v1", "mobilenet_v2", "efficientnet_b0", "resnet50", "vgg16")
SPARSITIES = (0.0, 0.8, 0.85, 0.9)
PATTERNS = ("unstructured", "published", "pattern")

# Of a model file, each mapping, checking and packing it anew.
_OPENS = 7

Report = Callable[[int, int, str], None]
"""`(networks done, networks in all, the one it is at)`."""


def variants(
    network: str, sparsities: Sequence[float], patterns: Sequence[str], **settings: float
) -> Iterator[Variant]:
    """Yields a network in all ways that are asked for, the dense one first.

    Args:
        settings: of the network, such as `width` and `side`.
    """
    made = REFERENCES[network]
    if 0 in sparsities:
        dense = made.layers(**settings)
        yield Variant(network=network, sparsity=0.0, pattern="dense", layers=dense)
    fractions = sorted({sparsity for sparsity in sparsities if sparsity})
    for pattern, preset in made.presets.items() if fractions else ():
        if pattern not in patterns:
            continue
        for sparsity in fractions if preset.fraction is None else [preset.fraction]:
            layers = made.layers(rule=preset.rule(sparsity), **settings)
            yield Variant(network=network, sparsity=round(sparsity, 4), pattern=pattern, layers=layers)


def bench_networks(
    *,
    networks: Sequence[str] = NETWORKS,
    sparsities: Sequence[float] = SPARSITIES,
    patterns: Sequence[str] = PATTERNS,
    peers: Sequence[str] = PEERS,
    threads: Iterable[int] = (),
    batch: int = 1,
    core: int | None = None,
    rounds: int = 15,
    report: Report = lambda done, total, name: None,
    note: Note = lambda line: None,
    **settings: float,
) -> dict:
    """Measures networks in all engines.

    Args:
        patterns: those that a network does not have are passed over.
        threads: also so many, in the same rounds as one and on as many cores.
        batch: how many images an engine is given at a time. Ours runs them one after the other.
        core: the last of the cores that everything runs on.
        note: is told of engines that are missing, fail or compute something else.
        settings: of the networks, such as `width` and `side`.

    Returns:
        What the JSON file holds. `ms` is of one image, the median over rounds. `max_abs_difference` is that
        of the outputs from a plain computation in double precision, relative to the largest output. Our own
        dense twin is always among the records. `load_ms` is what it takes us to open the model file, the
        median of several, the file being in the system's cache; None for peers. `file_mb` is what any
        engine's file has, in 2^20 bytes.

    Raises:
        UserError: where the machine lacks the cores, none of the networks has one of the patterns, or a
            package is missing that writes models for a peer.
    """
    cores = [cores_of(count, core) for count in sorted({1, *threads})]
    asked_of = {name: list(variants(name, sparsities, patterns, **settings)) for name in networks}
    total = sum(map(len, asked_of.values()))
    if not total:
        known = sorted({pattern for name in networks for pattern in REFERENCES[name].presets})
        raise UserError(
            f"None of {', '.join(networks)} has zeros in pattern {' or '.join(patterns)}; "
            f"there are: {', '.join(known)}."
        )
    pythons = {OURS: Path(sys.executable)} | find_pythons(peers, note)
    done, records, peaks = 0, [], []

    def begin(variant: Variant) -> None:
        nonlocal done
        report(done, total, variant.name)
        done += 1

    for name, asked in asked_of.items():
        if not asked:
            note(f"{name} has no zeros in pattern {' or '.join(patterns)}, it is left out")
            continue
        with on_cores(cores[0]):
            peaks.append(native.peak_gflops())
        (dense,) = variants(name, [0.0], (), **settings)
        contest = _Contest(pythons, cores, batch, rounds, note)
        records += _with_scaling(_bench_network(dense, asked, contest, begin))
    report(done, total, "")
    machine = native.cpu() | {"peak_gflops": float(np.median(peaks))}
    return {"machine": machine, "version": __version__, "records": records}


@dataclass(frozen=True)
class _Contest:
    """How networks are measured: cores for each number of threads."""

    pythons: Mapping[str, Path]
    cores: Sequence[Sequence[int]]
    batch: int
    rounds: int
    note: Note

    def prepare(self, stack: contextlib.ExitStack, variant: Variant, engines: Iterable[str]) -> Subject:
        return prepare(stack, variant, engines, batch=self.batch)

    def enter(self, stack: contextlib.ExitStack, engines: Sequence[str], subject: Subject) -> list[Entrant]:
        return [
            entrant
            for cores in self.cores
            for entrant in enter(stack, engines, subject, self.pythons, cores, self.note)
        ]

    def take_turns(self, entrants: Sequence[Entrant]) -> Sequence[Entrant]:
        return take_turns(entrants, self.rounds, self.note, one_core=len(self.cores) == 1)

    def record(self, entrant: Entrant) -> dict:
        ours = entrant.engine == OURS
        return {
            "network": entrant.variant.network,
            "sparsity": entrant.variant.sparsity,
            "pattern": entrant.variant.pattern,
            "engine": entrant.engine,
            "engine_version": entrant.worker.version,
            "threads": entrant.threads,
            "ms": float(np.median(entrant.visits)) / self.batch,
            "peak_memory_mb": entrant.worker.peak_mb(),
            "max_abs_difference": entrant.difference,
            "batch": self.batch,
            "load_ms": load_ms(entrant.model, self.cores[0]) if ours else None,
            "file_mb": entrant.model.stat().st_size / 2**20,
        }


def load_ms(model: Path, cores: Sequence[int]) -> float:
    """Returns the median milliseconds that it takes to open a model file."""
    seconds = []
    with on_cores(cores):
        for _ in range(_OPENS):
            started = time.perf_counter()
            native.Model.open(model)
            seconds.append(time.perf_counter() - started)
    return float(np.median(seconds)) * 1e3


def _bench_network(
    dense: Variant, asked: Sequence[Variant], contest: _Contest, begin: Callable[[Variant], None]
) -> list[dict]:
    """Measures the variants of one network, our own dense one in the rounds of each."""
    records = []
    with contextlib.ExitStack() as network:
        subject = contest.prepare(network, dense, [OURS] if asked[0].sparsity else contest.pythons)
        twin = contest.enter(network, [OURS], subject)
        for variant in asked:
            begin(variant)
            with contextlib.ExitStack() as turn:
                engines = list(contest.pythons)
                if variant.sparsity:
                    subject = contest.prepare(turn, variant, engines)
                else:
                    engines.remove(OURS)
                entrants = contest.enter(turn, engines, subject)
                finished = contest.take_turns([*twin, *entrants])
                records += [contest.record(one) for one in entrants if one in finished]
                twin = [one for one in twin if one in finished]
        return [contest.record(one) for one in twin] + records


def _with_scaling(records: Sequence[dict]) -> list[dict]:
    """Adds how much faster each engine is than itself on one thread; None where that is missing."""

    def key(record: dict) -> tuple:
        return tuple(record[field] for field in ("network", "sparsity", "pattern", "engine"))

    one = {key(record): record["ms"] for record in records if record["threads"] == 1}
    return [
        record | {"speedup_over_one_thread": one[key(record)] / record["ms"] if key(record) in one else None}
        for record in records
    ]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured of one network on some threads.

    Attributes:
        ms: by engine.
        over_dense: how much faster ours is than our own dense twin; None where one of them is missing.
        over_dense_peers: than the fastest peer that computes with every zero.
        over_peers: than the fastest peer.
        over_one_thread: than ours on one thread.
        load_ms, file_mb: of our model file.
    """

    network: str
    sparsity: float
    pattern: str
    threads: int
    ms: dict[str, float]
    over_dense: float | None
    over_dense_peers: float | None
    over_peers: float | None
    over_one_thread: float | None
    load_ms: float | None
    file_mb: float | None


def summarize(records: Sequence[dict]) -> list[Row]:
    """Returns a row for each network, pattern, sparsity and thread count, in the order of the records."""
    groups: dict[tuple, dict[str, dict]] = {}
    for record in records:
        key = (record["network"], record["sparsity"], record["pattern"], record["threads"])
        groups.setdefault(key, {})[record["engine"]] = record
    return [_row(key, group, groups) for key, group in groups.items()]


def _row(key: tuple, group: Mapping[str, dict], groups: Mapping[tuple, Mapping[str, dict]]) -> Row:
    network, sparsity, pattern, threads = key
    ms = {engine: record["ms"] for engine, record in group.items()}
    own = group.get(OURS, {})
    twin = groups.get((network, 0.0, "dense", threads), {}).get(OURS, {})

    def speedup(others: Iterable[float | None]) -> float | None:
        known = [other for other in others if other is not None]
        return min(known) / own["ms"] if own and known else None

    return Row(
        network=network,
        sparsity=sparsity,
        pattern=pattern,
        threads=threads,
        ms=ms,
        over_dense=speedup([twin.get("ms")]),
        over_dense_peers=speedup([ms.get(peer) for peer in PEERS if not ENGINES[peer].zeros]),
        over_peers=speedup([ms.get(peer) for peer in PEERS]),
        over_one_thread=own.get("speedup_over_one_thread"),
        load_ms=own.get("load_ms"),
        file_mb=own.get("file_mb"),
    )
