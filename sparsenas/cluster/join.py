"""Starts a Ray on this machine, or joins a cluster, and makes sure that it is safe and of one version.

A local Ray listens on loopback only and asks for a token, as whoever reaches its ports runs code of their
own. A cluster that asks for none is refused. Ray is imported late: it reads the variables that say so when
it is imported.
"""

import contextlib
import os
import secrets
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparsenas.cluster import points
from sparsenas.cluster.settings import ClusterSettings, Resources
from sparsenas.errors import UserError

_OBJECT_STORE_BYTES = 256 * 2**20
# So long a worker gets one task of ours after the other without a word of its node; then it is others' turn,
# where they share the cluster. Ray's own half a second is less than a training.
_LEASE_MS = 30_000
_SECONDS_TO_CONNECT = 5
_SECONDS_TO_ANSWER = 8

# Reads one line of the cluster's table, as a client that has the token or has none.
_ASK = """
import sys
from ray._raylet import GcsClient
print("asks", flush=True)
try:
    GcsClient(address=sys.argv[1]).internal_kv_keys(b"", None, 5)
except Exception as error:
    print(type(error).__name__)
else:
    print("answered")
"""


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A cluster that this process is part of.

    Attributes:
        workers: candidates at once; None for as many as there is room for, also when nodes come and go.
        is_local: whether it is a Ray of our own on this machine.
    """

    workers: int | None
    resources: Resources
    is_local: bool


@contextlib.contextmanager
def joined(settings: ClusterSettings, *, cache: Path, shared_bytes: int = 0) -> Iterator[Joined]:
    """Starts or joins what the settings name, and leaves it again. Not for 0 workers.

    Call it before JAX computes anything in this process.

    Args:
        cache: folder of this user, for the token of a local Ray.
        shared_bytes: how large what all workers read will be.

    Raises:
        UserError: where the cluster is not reached, asks for no token, has no room for a candidate, or has
            another version of this package.
    """
    points.reach("joins", "-")
    os.environ.setdefault("RAY_worker_lease_timeout_milliseconds", str(_LEASE_MS))
    check_reachable(settings)
    address, resources = _address(settings), settings.resources
    if address:
        _check_cluster(address, settings)
        _join(address, resources)
        workers = None if settings.workers == "auto" else settings.workers
    else:
        workers = _start_local(settings, resources, cache, shared_bytes)
    import ray

    try:
        check_room(resources)
        points.reach("joined", "-")
        yield Joined(workers=workers, resources=resources, is_local=not address)
    finally:
        ray.shutdown()


def check_reachable(settings: ClusterSettings) -> None:
    """Makes sure that something listens where the cluster should be, and that we have a token for it.

    It takes seconds at most, so that a wrong address is not found out after the images are loaded.

    Raises:
        UserError: where nobody listens, or we have no token that only we can read.
    """
    if address := _address(settings):
        _check_address(address)
        _check_token_here(settings)


def environment_of_workers(resources: Resources) -> dict[str, str]:
    """Returns the variables of workers: how many threads compute, and on what."""
    found = {
        # Losses depend on the number of threads, and repeat exactly at a fixed one; and two workers do not
        # fight for cores.
        "PJRT_NPROC": str(max(int(resources.cpu), 1)),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",
        **points.environment(),
    }
    if not resources.gpu:
        found["JAX_PLATFORMS"] = "cpu"
    elif resources.gpu < 1:
        # Ray shares out a GPU, but not its memory; a tenth is for what does not come from JAX.
        found["XLA_CLIENT_MEM_FRACTION"] = f"{0.9 * resources.gpu:.3f}"
    return found


def _start_local(settings: ClusterSettings, resources: Resources, cache: Path, shared_bytes: int) -> int:
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    # Ray's default priority for workers, 15, would let anything else on the machine slow them down.
    os.environ.setdefault("RAY_worker_niceness", "0")
    # Too late for a token where somebody else imported Ray.
    if "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(_own_token(cache))
    import ray

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = settings.workers
    if workers == "auto":
        workers = max(int(cores / max(resources.cpu, 1)), 1)
    try:
        ray.init(
            address="local",
            num_cpus=max(int(workers * resources.cpu), 1),
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES + 2 * shared_bytes,
            logging_level="error",
            log_to_driver=False,
            runtime_env={"env_vars": environment_of_workers(resources)},
        )
    except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as error:
        raise UserError(
            f"Cannot start Ray on this machine ({_first_line(error)}); --workers 0 works without it."
        ) from None
    return workers


def _join(address: str, resources: Resources) -> None:
    import ray

    try:
        ray.init(
            address=address,
            logging_level="error",
            log_to_driver=False,
            runtime_env={"env_vars": environment_of_workers(resources)},
        )
    except (
        ConnectionError,
        RuntimeError,
        ValueError,
        OSError,
        TimeoutError,
        ray.exceptions.RayError,
    ) as error:
        raise UserError(
            f"Cannot join the cluster at {address} from this machine ({_first_line(error)}); start "
            "the command on one of its nodes, or with `ray job submit`."
        ) from None


def _address(settings: ClusterSettings) -> str | None:
    """Returns HOST:PORT of the cluster to join; None for a Ray of our own."""
    return os.environ.get("RAY_ADDRESS") if settings.cluster == "auto" else settings.cluster


def _check_address(address: str) -> None:
    if "://" in address:
        raise UserError(
            f"`cluster` is HOST:PORT of a cluster's head, usually port 6379, found {address!r}; from "
            "a machine that is not part of it, start the command with `ray job submit`."
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"`cluster` is `auto` or HOST:PORT of a cluster's head, found {address!r}.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"No Ray cluster is reached at {address}: {getattr(error, 'strerror', None) or error}."
        ) from None


def _check_token_here(settings: ClusterSettings) -> None:
    """Makes sure that we have a token and nobody else can read it."""
    if settings.insecure_cluster:
        return
    if os.environ.get("RAY_AUTH_MODE") != "token":
        raise UserError(
            "A cluster without tokens runs anybody's code. Start it with RAY_AUTH_MODE=token and "
            "RAY_AUTH_TOKEN_PATH=FILE, and set both here too, or give --insecure-cluster."
        )
    if "RAY_AUTH_TOKEN" in os.environ:
        return
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(f"Expected the cluster's token in {str(path)!r}: {error.strerror}.") from None
    # Kubernetes mounts secrets as links to files that it alone writes.
    if stat.S_IMODE(mode) & 0o077 and not path.is_symlink():
        raise UserError(
            f"The token {str(path)!r} can be read by others (mode {stat.S_IMODE(mode):04o}); chmod 600 {path}"
        )


def _check_cluster(address: str, settings: ClusterSettings) -> None:
    """Makes sure that a cluster answers us, and nobody without a token."""

    def ask(**variables: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", _ASK, address],
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,  # What is read as a line is all that is read.
        )

    with_token = ask()
    without = None if settings.insecure_cluster else ask(RAY_AUTH_MODE="disabled")
    said, said_without = _answer(with_token), without and _answer(without)
    if said == "AuthenticationError":
        raise UserError(f"The cluster at {address} refuses our token; set RAY_AUTH_TOKEN_PATH to its own.")
    if said != "answered":
        raise UserError(f"Something listens at {address}, but does not answer as a Ray cluster does.")
    if said_without == "answered":
        raise UserError(
            f"The cluster at {address} asks for no token: whoever reaches it runs code of their own. "
            "Start it with RAY_AUTH_MODE=token, or give --insecure-cluster."
        )


def _answer(process: subprocess.Popen) -> str:
    # How long it takes to import Ray says nothing about the cluster.
    process.stdout.readline()
    try:
        out, _ = process.communicate(timeout=_SECONDS_TO_ANSWER)
        return out.decode().strip()
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return ""


def check_room(
    resources: Resources, *, who: str = "a candidate", option: str = "--resources-per-candidate"
) -> None:
    """Makes sure that a node has what somebody needs: Ray would wait for it for ever; raises `UserError`."""
    import ray

    nodes: list[dict[str, Any]] = [node for node in ray.nodes() if node["Alive"]]
    needed = resources.needed
    if any(all(node["Resources"].get(name, 0) >= n for name, n in needed.items()) for node in nodes):
        return
    totals: dict[str, float] = {}
    for node in nodes:
        for name, amount in node["Resources"].items():
            if not name.startswith(("node:", "object_store", "memory")):
                totals[name] = max(totals.get(name, 0), amount)
    wanted = ", ".join(f"{name}={amount:g}" for name, amount in needed.items())
    has = ", ".join(f"{name}={amount:g}" for name, amount in sorted(totals.items())) or "nothing"
    raise UserError(
        f"No node of the cluster has what {who} needs ({wanted}); the most that a node has: {has}. "
        f"Ask for less with {option}."
    )


def _own_token(cache: Path) -> Path:
    """Returns the file with the token of this user's local Rays, which only they can read."""
    path = cache / "ray.token"
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = cache / f".ray.token.{os.getpid()}"
    if not path.exists():
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
    return path


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
