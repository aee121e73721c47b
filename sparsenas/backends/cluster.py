"""A device attached to a node of a Ray cluster, which lends it as a custom resource.

The node is started with `RAY_worker_niceness=0 ray start --resources '{"device:NAME": 1}'`, as Ray's workers
give way to all else where they are not told otherwise. Whoever measures holds all of the
resource, so that one measurement runs on a device at a time; others wait for their turn.
"""

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, Self

import ray

from sparsenas.errors import UserError
from sparsenas.latency.device import Lost, Round
from sparsenas.latency.local import Local
from sparsenas.latency.table import Kind

_NAME = re.compile(r"[\w.-]+")
_SECONDS_TO_START = 300


@ray.remote(num_cpus=0, max_restarts=0)
class _Worker:
    """A machine's kernels, on the node that has the device."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._device = Local(**settings)
        self._device.__enter__()

    def about(self) -> tuple[dict[str, Any], str]:
        return self._device.machine, self._device.build

    def rounds(self, models: list[bytes], order: list[int], threads: int, count: int) -> Iterator[Round]:
        yield from self._device.rounds([models[i] for i in order], threads=threads, count=count)

    def circumstances(self) -> dict[str, Any]:
        return self._device.circumstances()


class OnCluster:
    """The machine that lends the resource `device:NAME`.

    Raises:
        UserError: where no node of the cluster has it, or Ray is not reached.
    """

    kind: Kind = "measured"
    capacity = 2**28

    def __init__(
        self,
        url: str,
        *,
        core: int | None = None,
        threads: int = 1,
        isa: str | None = None,
        busy: bool = False,
    ) -> None:
        name = url.removeprefix("ray://")
        if not _NAME.fullmatch(name):
            raise UserError(f"A device of a cluster is ray://NAME, found {url!r}.")
        self.name = url
        self._resource = f"device:{name}"
        self._settings = {"name": name, "core": core, "threads": threads, "isa": isa, "busy": busy}
        self._started_ray = False
        self._worker: Any = None
        self.machine: dict[str, Any] = {}
        self.build = ""

    def __enter__(self) -> Self:
        if not ray.is_initialized():
            address = os.environ.get("RAY_ADDRESS", "auto")
            try:
                ray.init(address=address, log_to_driver=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise UserError(
                    f"No Ray cluster is reached at {address!r} "
                    f"({(str(error).splitlines() or ['no reason'])[0]}); set RAY_ADDRESS, or start one."
                ) from None
            self._started_ray = True
        try:
            self.reconnect()
        except Lost as error:
            self.__exit__()
            raise UserError(f"{error}.") from None
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if self._worker is not None:
            ray.kill(self._worker)
            self._worker = None
        if self._started_ray:
            ray.shutdown()
            self._started_ray = False

    def reconnect(self) -> None:
        # A resource that nobody has would be waited for for ever.
        lent = sorted(name for name in ray.cluster_resources() if name.startswith("device:"))
        if self._resource not in lent:
            raise Lost(
                f"No node of the cluster has {self._resource!r}; there are: {', '.join(lent) or 'no devices'}"
            )
        if self._worker is not None:
            ray.kill(self._worker)
        self._worker = _Worker.options(resources={self._resource: 1}).remote(self._settings)
        self.machine, self.build = self._get(self._worker.about.remote(), timeout=_SECONDS_TO_START)

    def rounds(self, models: Sequence[bytes], *, threads: int, count: int) -> Iterator[Round]:
        position = {key: i for i, key in enumerate(dict.fromkeys(map(id, models)))}
        distinct = list({id(model): model for model in models}.values())
        order = [position[id(model)] for model in models]
        found = self._worker.rounds.options(num_returns="streaming").remote(distinct, order, threads, count)
        # No more than there are: the end of a stream may be lost with its node.
        for _ in range(count):
            try:
                reference = next(found)
            except StopIteration:
                return
            except ray.exceptions.RayError as error:
                raise self._problem(error) from None
            yield self._get(reference)

    def circumstances(self) -> dict[str, Any]:
        return self._get(self._worker.circumstances.remote())

    def _get(self, reference: Any, timeout: float | None = None) -> Any:
        try:
            return ray.get(reference, timeout=timeout)
        except ray.exceptions.GetTimeoutError:
            raise Lost(f"{self.name} is in use: it was not free for {_SECONDS_TO_START} seconds") from None
        except ray.exceptions.RayError as error:
            raise self._problem(error) from None

    def _problem(self, error: Exception) -> Exception:
        cause = getattr(error, "cause", None)
        if isinstance(cause, UserError):
            return UserError(f"{self.name}: {cause}")
        said = next((line for line in reversed(str(error).splitlines()) if "UserError" in line), "")
        if said:
            return UserError(f"{self.name}: {said.partition('UserError:')[2].strip()}")
        return Lost(f"{self.name} is gone: {type(error).__name__}")
