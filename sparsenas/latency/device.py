"""What can be measured: something that runs model files and says how long they take."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from sparsenas.latency.table import Kind


class Lost(Exception):
    """The device does not answer any more; its message is the start of a sentence for people."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """One visit to each of some models, one after the other.

    Attributes:
        us: microseconds of one run, the median over those of the visit.
        kernels: of the last layer of each model.
    """

    us: tuple[float, ...]
    kernels: tuple[str, ...]


class Device(Protocol):
    """A device inside a `with`, which connects to it and cleans up after it.

    Attributes:
        name: what people call it.
        kind: whether its times are real.
        machine: `cpu`, `isa`, `cores` and what else it tells of itself.
        build: of its kernels.
        capacity: bytes of model files that it takes at once.
    """

    name: str
    kind: Kind
    machine: dict[str, Any]
    build: str
    capacity: int

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def rounds(self, models: Sequence[bytes], *, threads: int, count: int) -> Iterator[Round]:
        """Visits model files in turns, so many times; the same object may be among them more than once.

        Raises:
            Lost: where the device is gone; `reconnect` may bring it back.
            UserError: where it cannot do this at all.
        """

    def reconnect(self) -> None:
        """Finds the device again; raises `Lost` where it cannot be found."""

    def circumstances(self) -> dict[str, Any]:
        """Returns what a table should say of how it was measured, such as the core and its clock."""
