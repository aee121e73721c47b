"""What can be measured: something that runs model files and says how long they take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from sparsenas.latency.table import Kind


class Lost(Exception):
    """The device does not answer any more; its message is the start of a sentence for people."""


@dataclass(frozen=True, kw_only=True)
class Visits:
    """Times of one model.

    Attributes:
        us: microseconds of one run at each visit.
        kernel_names: of its layers, in order.
    """

    us: tuple[float, ...]
    kernel_names: tuple[str, ...]


class Device(Protocol):
    """A device inside a `with`, which connects to it and cleans up after it.

    Attributes:
        name: what people call it.
        kind: whether its times are real.
        machine: `cpu`, `isa`, `cores` and what else it tells of itself.
        build: of its kernels.
    """

    name: str
    kind: Kind
    machine: dict[str, Any]
    build: str

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def visit(self, models: Sequence[bytes], *, threads: int, rounds: int) -> list[Visits]:
        """Visits model files in turns, so many times each.

        Raises:
            Lost: where the device is gone; `reconnect` may bring it back.
            UserError: where it cannot do this at all.
        """

    def reconnect(self) -> None:
        """Finds the device again; raises `Lost` where it cannot be found."""

    def circumstances(self) -> dict[str, Any]:
        """Returns what a table should say of how it was measured, such as the core and its clock."""
