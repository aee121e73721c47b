"""Trains finalists from scratch, several at once on Ray.

Only numpy crosses from driver to worker and back. A candidate's result depends on its own seed and on the one
thread it trains with, not on who trains beside it.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# A local Ray listens on loopback only; read when `ray` is imported.
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")

import numpy as np
import ray

from sparsenas import checkpoint, train
from sparsenas.data import Split
from sparsenas.errors import UserError
from sparsenas.space import Arch, Space
from sparsenas.supernet import supernet

_OBJECT_STORE_BYTES = 256 * 2**20


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A network to train: an architecture, or its dense twin."""

    arch: Arch
    dense: bool = False

    def space(self, space: Space) -> Space:
        """Returns the space of this network alone."""
        return space.fixed(self.arch, dense=self.dense)

    def name(self, space: Space) -> str:
        """Returns a name that is also a file's."""
        return space.text(self.arch) + ("-dense" if self.dense else "")


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A trained candidate, as arrays by name, and its accuracy on the validation images."""

    candidate: Candidate
    arrays: dict[str, np.ndarray]
    accuracy: float


@contextlib.contextmanager
def workers(count: int, *, compilation_cache: Path) -> Iterator[int]:
    """Starts a local Ray with that many workers and stops it again; 0 trains in this process.

    Start it before JAX computes anything in this process.
    """
    if count < 0:
        raise UserError(f"`workers` must be 0 or more, found {count}.")
    if count == 0:
        yield 0
        return
    # Ray's default priority for workers, 15, would let anything else on the machine slow them down.
    os.environ.setdefault("RAY_worker_niceness", "0")
    compilation_cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    ray.init(
        num_cpus=count,
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        logging_level="error",
        log_to_driver=False,
        runtime_env={
            "env_vars": {
                # One thread each: losses then repeat exactly, and two workers do not fight for cores.
                "PJRT_NPROC": "1",
                "JAX_PLATFORMS": "cpu",
                "JAX_COMPILATION_CACHE_DIR": str(compilation_cache),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
                "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",
            }
        },
    )
    try:
        yield count
    finally:
        ray.shutdown()


def train_candidates(
    space: Space,
    candidates: Sequence[Candidate],
    training: Split,
    validation: Split,
    settings: train.NetworkSettings,
    *,
    seed: int,
    workers: int,
) -> Iterator[Trained]:
    """Yields candidates as they finish training."""
    if workers == 0:
        for candidate in candidates:
            arrays, accuracy = _train(candidate.space(space), training, validation, settings, seed)
            yield Trained(candidate=candidate, arrays=arrays, accuracy=accuracy)
        return
    splits = [ray.put(training), ray.put(validation)]
    # No retries by Ray: it would repeat a candidate without a word, for ever if it runs out of memory.
    task = ray.remote(num_cpus=1, max_retries=0)(_train)
    running = {
        task.remote(candidate.space(space), *splits, settings, seed): candidate for candidate in candidates
    }
    while running:
        (finished,), _ = ray.wait(list(running), num_returns=1)
        candidate = running.pop(finished)
        arrays, accuracy = ray.get(finished)
        yield Trained(candidate=candidate, arrays=arrays, accuracy=accuracy)


def _train(
    space: Space, training: Split, validation: Split, settings: train.NetworkSettings, seed: int
) -> tuple[dict[str, np.ndarray], float]:
    variables = train.train_network(space, training, settings, seed=seed)
    accuracy = train.accuracy(supernet(space), variables, validation)
    return checkpoint.to_arrays(variables), float(accuracy)
