"""What runs on a worker: one attempt at one candidate, committed before it is said to be done."""

import hashlib
import importlib.metadata
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from sparsenas import native
from sparsenas.cluster import spool
from sparsenas.cluster.points import reach
from sparsenas.cluster.version import differences, version
from sparsenas.errors import UserError
from sparsenas.latency.library import cache_folder

Arrays = Mapping[str, np.ndarray]


class Worked(NamedTuple):
    """What an evaluation found.

    Attributes:
        metrics: the same for the same candidate, wherever it is worked on; no times.
        arrays: to be kept; None for none.
        training: how it went: rows of a step and numbers by name.
    """

    metrics: dict[str, float]
    arrays: dict[str, np.ndarray] | None
    training: Sequence[tuple[int, Mapping[str, float]]] = ()


class Overtaken(Exception):
    """Somebody else has committed the result of this candidate."""


Check = Callable[[], None]
"""Raises `Overtaken` where there is no use in going on; to be called now and then."""

Evaluate = Callable[[Any, Mapping[str, Any], Arrays | None, int, Check], Worked]
"""`(context, spec, start, parts, check)`: the arrays it starts from, in how many parts a batch is
computed."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One attempt.

    Attributes:
        spec: what is evaluated: all that determines the result beside the context.
        parts: of a batch, one after the other, so that less memory is needed.
        run: the run's folder, and the id that is found there by whoever sees the same.
        version: of whoever asks.
    """

    candidate: str
    rung: int
    spec: Mapping[str, Any]
    parts: int
    run: Path
    identity: str
    version: Mapping[str, str]


_OWN_VERSION: dict[str, str] = {}


def attempt(evaluate: Evaluate, context: Any, start: Arrays | None, task: Task) -> Iterator[dict[str, Any]]:
    """Yields where it runs, then the result as it counts, or what went wrong.

    The first is `{"node", "pid", "host"}`, the second has `metrics`, or `error` with a `kind`: `version`,
    `memory`, `disk` or `error`; and `arrays`, where the run's folder is not seen from here.
    """
    import ray

    node = ray.get_runtime_context().get_node_id()
    yield {"node": node, "pid": os.getpid(), "host": socket.gethostname()}
    if not _OWN_VERSION:
        _OWN_VERSION.update(version())
        _share_compilations()
    if (differing := differences(task.version, _OWN_VERSION)) is not None:
        yield {"kind": "version", "error": differing}
        return
    yield worked(evaluate, context, start, task, node=socket.gethostname())


def worked(
    evaluate: Evaluate, context: Any, start: Arrays | None, task: Task, *, node: str
) -> dict[str, Any]:
    """Evaluates a candidate and commits its result; returns the record that counts, or what went wrong."""
    shared = spool.is_shared(task.run, task.identity)
    what = f"{task.candidate}-{task.rung}"
    place = spool.place(task.run, task.candidate, task.rung)
    if shared and (found := spool.read(place)) is not None:
        return found

    def check() -> None:
        # Who was frozen and goes on finds that others did not wait.
        if shared and place.exists():
            raise Overtaken

    reach("begun", what)
    began = time.perf_counter()
    try:
        metrics, arrays, training = evaluate(context, task.spec, start, task.parts, check)
    except Overtaken:
        found = spool.read(place)
        return found if found is not None else {"kind": "error", "error": f"The result {place} was damaged."}
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        memory = isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
        return {"kind": "memory" if memory else "error", "error": described(error)}
    except UserError as error:
        return {"kind": "refused", "error": str(error)}
    except Exception as error:
        return {"kind": "error", "error": described(error)}
    record = {
        "candidate": task.candidate,
        "rung": task.rung,
        "metrics": metrics,
        "training": training,
        "parts": task.parts,
        "node": node,
        "seconds": round(time.perf_counter() - began, 3),
    }
    reach("trained", what)
    if not shared:
        return {**record, "arrays": arrays}
    try:
        return spool.commit(task.run, task.candidate, task.rung, record, arrays)
    except spool.DiskFull as error:
        # What was found is not lost: it goes to the controller, whose log may lie on another disk.
        return {**record, "arrays": arrays, "kind": "disk", "error": str(error)}


def described(error: BaseException) -> str:
    """Returns an exception as one line."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}"[:300] if first else type(error).__name__


def compilations() -> Path:
    """Returns the folder of compiled code of this user, kind of processor and version of JAX."""
    kind = hashlib.sha256(f"{native.cpu()} {importlib.metadata.version('jaxlib')}".encode()).hexdigest()[:16]
    return cache_folder() / "compiled" / kind


def _share_compilations() -> None:
    folder = compilations()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return  # Compiled again in each process, then.
    jax.config.update("jax_compilation_cache_dir", str(folder))
