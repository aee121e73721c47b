"""Whole reference networks with random weights, in this runtime and in other engines.

The dense twin of a sparse network takes its turns with it.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparsenas import __version__, native
from sparsenas.bench.machine import cores_of
from sparsenas.bench.peers.contest import Entrant, Note, Variant, enter, prepare, take_turns
from sparsenas.bench.peers.process import ENGINES, OURS, PEERS, find_pythons
from sparsenas.errors import UserError
from sparsenas.networks.catalog import REFERENCES

# Those that most papers have figures of.
NETWORKS = ("mobilenet_v1", "mobilenet_v2", "efficientnet_b0", "resnet50", "vgg16")
SPARSITIES = (0.0, 0.8, 0.85, 0.9)
PATTERNS = ("unstructured", "published", "pattern")

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
    threads: int = 1,
    core: int | None = None,
    rounds: int = 15,
    report: Report = lambda done, total, name: None,
    note: Note = lambda line: None,
    **settings: float,
) -> dict:
    """Measures networks in all engines.

    Args:
        patterns: those that a network does not have are passed over.
        core: the last of the cores that everything runs on.
        note: is told of engines that are missing, fail or compute something else.
        settings: of the networks, such as `width` and `side`.

    Returns:
        What the JSON file holds. `ms` is the median over rounds. `max_abs_difference` is that of the outputs
        from a plain computation in double precision, relative to the largest output. Our own dense twin is
        always among the records.

    Raises:
        UserError: where the machine lacks the cores, none of the networks has one of the patterns, or a
            package is missing that writes models for a peer.
    """
    cores = cores_of(threads, core)
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
        peaks.append(_peak_gflops(cores[-1]))
        (dense,) = variants(name, [0.0], (), **settings)
        records += _bench_network(dense, asked, pythons, cores, rounds, begin, note)
    report(done, total, "")
    machine = native.cpu() | {"peak_gflops": float(np.median(peaks))}
    return {"machine": machine, "version": __version__, "records": records}


def _bench_network(
    dense: Variant,
    asked: Sequence[Variant],
    pythons: Mapping[str, Path],
    cores: Sequence[int],
    rounds: int,
    begin: Callable[[Variant], None],
    note: Note,
) -> list[dict]:
    """Measures the variants of one network, our own dense one in the rounds of each."""
    records = []
    with contextlib.ExitStack() as network:
        subject = prepare(network, dense, [OURS] if asked[0].sparsity else pythons)
        twin = enter(network, [OURS], subject, pythons, cores, note)
        for variant in asked:
            begin(variant)
            with contextlib.ExitStack() as turn:
                engines = list(pythons)
                if variant.sparsity:
                    subject = prepare(turn, variant, pythons)
                else:
                    engines.remove(OURS)
                entrants = enter(turn, engines, subject, pythons, cores, note)
                finished = take_turns([*twin, *entrants], rounds, note, one_core=len(cores) == 1)
                records += [_record(one, len(cores)) for one in entrants if one in finished]
                twin = [one for one in twin if one in finished]
        return [_record(one, len(cores)) for one in twin] + records


def _peak_gflops(core: int) -> float:
    with native.pinned(core if hasattr(os, "sched_getaffinity") else None):
        return native.peak_gflops()


def _record(entrant: Entrant, threads: int) -> dict:
    return {
        "network": entrant.variant.network,
        "sparsity": entrant.variant.sparsity,
        "pattern": entrant.variant.pattern,
        "engine": entrant.engine,
        "engine_version": entrant.worker.version,
        "threads": threads,
        "ms": float(np.median(entrant.visits)),
        "peak_memory_mb": entrant.worker.peak_mb(),
        "max_abs_difference": entrant.difference,
    }


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured of one network.

    Attributes:
        ms: by engine.
        over_dense: how much faster ours is than our own dense twin; None where one of them is missing.
        over_dense_peers: than the fastest peer that computes with every zero.
        over_peers: than the fastest peer.
    """

    network: str
    sparsity: float
    pattern: str
    ms: dict[str, float]
    over_dense: float | None
    over_dense_peers: float | None
    over_peers: float | None


def summarize(records: Sequence[dict]) -> list[Row]:
    """Returns a row for each network, pattern and sparsity, in the order of the records."""
    groups: dict[tuple, dict[str, float]] = {}
    for record in records:
        key = (record["network"], record["sparsity"], record["pattern"])
        groups.setdefault(key, {})[record["engine"]] = record["ms"]

    def speedup(ms: Mapping[str, float], others: Iterable[float | None]) -> float | None:
        known = [other for other in others if other is not None]
        return min(known) / ms[OURS] if OURS in ms and known else None

    return [
        Row(
            network=network,
            sparsity=sparsity,
            pattern=pattern,
            ms=ms,
            over_dense=speedup(ms, [groups.get((network, 0.0, "dense"), {}).get(OURS)]),
            over_dense_peers=speedup(ms, [ms.get(peer) for peer in PEERS if not ENGINES[peer].zeros]),
            over_peers=speedup(ms, [ms.get(peer) for peer in PEERS]),
        )
        for (network, sparsity, pattern), ms in groups.items()
    ]
