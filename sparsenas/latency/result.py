"""What a prediction is."""

import math
from dataclasses import dataclass


class Latency(float):
    """Milliseconds, with the interval they lie in nine times of ten.

    Attributes:
        low_ms, high_ms: the interval.
        notes: what was outside of all that was measured, a line each.
    """

    low_ms: float
    high_ms: float
    notes: tuple[str, ...]

    def __new__(
        cls, ms: float, low_ms: float = math.nan, high_ms: float = math.nan, notes: tuple[str, ...] = ()
    ) -> "Latency":
        made = super().__new__(cls, ms)
        made.low_ms, made.high_ms, made.notes = low_ms, high_ms, notes
        return made


@dataclass(frozen=True, slots=True)
class LayerLatency:
    """What a layer takes alone.

    Attributes:
        us: microseconds of one image.
        low_us, high_us: where it lies nine times of ten.
        kernel: what computes it, or computed what is most like it.
        measured: whether just this layer was measured.
        outside: in what it differs from all that was measured; its time is then extrapolated.
    """

    us: float
    low_us: float
    high_us: float
    kernel: str
    measured: bool
    outside: tuple[str, ...]
