"""What the operating system tells about this machine's cores."""

import os
import time
from pathlib import Path
from typing import Any

from sparsenas.errors import UserError

_CPUS = Path("/sys/devices/system/cpu")
# A core is free where a busy loop gets at least this share of it.
_FREE_SHARE = 0.6
_PROBE_SECONDS = 0.05


def circumstances(core: int | None) -> dict[str, Any]:
    """Returns caches, governor and frequency of a core, as far as the system tells."""
    if core is None:
        return {}
    folder = _CPUS / f"cpu{core}"
    found: dict[str, Any] = {}
    for cache in sorted((folder / "cache").glob("index*")):
        level, kind, size = (_read(cache / name) for name in ("level", "type", "size"))
        if level and size and kind != "Instruction":
            found[f"l{level}"] = size
    governor = _read(folder / "cpufreq" / "scaling_governor")
    khz = _read(folder / "cpufreq" / "scaling_cur_freq")
    mhz = str(int(khz) // 1000) if khz and khz.isdecimal() else _mhz(core)
    return {"caches": found, "governor": governor or "unknown", "mhz": mhz or "unknown"}


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _mhz(core: int) -> str:
    """Returns what /proc/cpuinfo says, which is all that most virtual machines know."""
    clocks = [line for line in _read(Path("/proc/cpuinfo")).splitlines() if line.startswith("cpu MHz")]
    return clocks[core].partition(":")[2].strip() if core < len(clocks) else ""


def free_cores(core: int | None, count: int, *, busy: bool = False) -> list[int]:
    """Returns cores that nothing else runs on, `count` of them.

    Args:
        core: the only one that may be taken where `count` is 1, the last one otherwise; where left out, the
            last of those that are free, as interrupts tend to land on the first.
        busy: whether to take cores that others use as well.

    Raises:
        UserError: where there are no such cores, or others use them.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if core is not None:
        allowed = [one for one in allowed if one <= core] if core in allowed else []
        if not allowed:
            raise UserError(
                f"This process may not run on core {core}; it may on "
                f"{', '.join(map(str, sorted(os.sched_getaffinity(0))))}."
            )
    if not 1 <= count <= len(allowed):
        upto = "" if core is None else f" up to core {core}"
        raise UserError(f"`threads` must be from 1 to {len(allowed)}, the cores{upto}, found {count}.")
    candidates = allowed[-count:] if core is not None or count > 1 else allowed[::-1]
    shares = {one: _share(one) for one in candidates}
    wanted = candidates if core is not None or count > 1 else [max(shares, key=lambda one: shares[one])]
    one = min(wanted, key=lambda one: shares[one])
    if shares[one] < _FREE_SHARE and not busy:
        raise UserError(
            f"No free core: core {one} is busy, a loop got {shares[one]:.0%} of it. Stop what runs there, "
            "give another --core, or --busy for times that are not to be trusted."
        )
    return wanted


def _share(core: int) -> float:
    """Returns which part of a core a busy loop gets; the best of three probes, as moments differ."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        shares = []
        for _ in range(3):
            started, used = time.perf_counter(), time.thread_time()
            while time.perf_counter() - started < _PROBE_SECONDS:
                pass
            shares.append((time.thread_time() - used) / (time.perf_counter() - started))
        return max(shares)
    finally:
        os.sched_setaffinity(0, before)
