"""A device that runs the static device runner, reached by a program that runs commands and copies files."""

import base64
import json
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from sparsenas.backends.link import Failed, Link
from sparsenas.backends.process import no_space
from sparsenas.cross import built
from sparsenas.errors import UserError
from sparsenas.latency.device import Lost, Round
from sparsenas.latency.table import Kind

# What `uname -m` says -> folder of the build.
_ARCHITECTURES = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64", "amd64": "x86_64"}
_PROGRAM = "sparsenas-run"
# A core is free where it idles at least this part of a moment.
_IDLE = 0.4


class Remote:
    """A device behind a link.

    Args:
        core: the last of the device's free cores where left out.
        isa: the instruction set; the best of the device where left out.
        emulator: a program there that runs the binary of another processor, such as `qemu-aarch64`. Times
            are then emulated, whatever the clock says.
        program: the device runner; built for the device's processor where left out.
        busy: whether to measure on a core that others use as well.

    Raises:
        UserError: where the device is of no use: unreachable, no space, no free core, another processor.
    """

    # What fits into a small phone's memory with the weights packed beside the file.
    capacity = 2**26

    def __init__(
        self,
        link: Link,
        *,
        core: int | None = None,
        isa: str | None = None,
        emulator: str | None = None,
        program: Path | None = None,
        busy: bool = False,
    ) -> None:
        self.name = link.name
        self.kind: Kind = "measured"
        self.machine: dict[str, Any] = {}
        self.build = ""
        self._link, self._core, self._isa = link, core, isa
        self._emulator, self._program, self._busy = emulator, program, busy
        self._folder = ""

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except Lost as error:
            raise UserError(f"{error}.") from None
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._clean_up()

    def reconnect(self) -> None:
        self._clean_up()
        self._set_up()

    def circumstances(self) -> dict[str, Any]:
        governor = f"/sys/devices/system/cpu/cpu{self._core}/cpufreq/scaling_governor"
        try:
            found = self._link.run(f"cat {governor} 2>/dev/null || echo unknown").strip()
        except (Lost, Failed):
            found = "unknown"
        return {"cores": [self._core], "governor": found, "emulator": self._emulator or "none"}

    def rounds(self, models: Sequence[bytes], *, threads: int, count: int) -> Iterator[Round]:
        places = {key: f"m{i}.snas" for i, key in enumerate(dict.fromkeys(map(id, models)))}
        with tempfile.TemporaryDirectory() as temporary:
            files = {Path(temporary) / places[id(model)]: model for model in models}
            for path, model in files.items():
                path.write_bytes(model)
            order = Path(temporary) / "order"
            order.write_text(" ".join(places[id(model)] for model in models))
            self._send([*files, order])
        cores = f"--core {self._core}" if threads == 1 else f"--threads {threads}"
        isa = f" --isa {self._isa}" if self._isa else ""
        command = f"{self._runner} turns $(cat order) --rounds {count} {cores}{isa}; code=$?; rm -f m*.snas"
        kernels: tuple[str, ...] = ()
        try:
            for line in self._link.lines(f"cd {self._folder} && {command}; exit $code"):
                found = json.loads(line)
                if kernels:
                    yield Round(us=tuple(found), kernels=kernels)
                else:
                    kernels = tuple(found)
        except ValueError:
            raise Lost(f"{self.name} broke off in the middle of a line") from None
        except Failed as error:
            raise self._useless(error) from None

    def tune(self, model: bytes, *, threads: int) -> bytes:
        """Returns a model file with the forms that are fastest on the device, and its weights packed in them.

        Raises:
            UserError: where the device cannot do it, or is lost.
        """
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / "model.snas"
            path.write_bytes(model)
            self._send([path])
        cores = f"--core {self._core}" if threads == 1 else f"--threads {threads}"
        isa = f" --isa {self._isa}" if self._isa else ""
        tuned = (
            f"{self._runner} tune model.snas tuned.snas --force {cores}{isa} >/dev/null && base64 tuned.snas"
        )
        command = f"{tuned}; code=$?; rm -f model.snas tuned.snas; exit $code"
        try:
            return base64.b64decode(self._link.run(f"cd {self._folder} && {command}"))
        except Failed as error:
            raise self._useless(error) from None
        except Lost as error:
            raise UserError(f"{error}.") from None

    @property
    def _runner(self) -> str:
        return f"{self._emulator} ./{_PROGRAM}" if self._emulator else f"./{_PROGRAM}"

    def _set_up(self) -> None:
        try:
            architecture = self._architecture()
            program = self._program or built(architecture, _PROGRAM) / "tools" / _PROGRAM
            self._folder = self._link.run(f'mktemp -d "{self._link.folder()}/sparsenas-XXXXXX"').strip()
            with tempfile.TemporaryDirectory() as temporary:
                copy = Path(temporary) / _PROGRAM
                copy.write_bytes(program.read_bytes())
                copy.chmod(0o755)
                self._send([copy])
            runner = f"cd {self._folder} && chmod 755 {_PROGRAM} && {self._runner}"
            isa = f" --isa {self._isa}" if self._isa else ""
            found = json.loads(self._link.run(f"{runner} cpu --json{isa}"))
            cpuinfo = self._link.run("cat /proc/cpuinfo 2>/dev/null || true")
            self._core = self._free_core(int(found["machine"]["cores"]))
        except Failed as error:
            raise self._useless(error) from None
        self.machine, self.build = found["machine"], found["build_id"]
        self.kind = "emulated" if self._emulator or _plays_another(cpuinfo, architecture) else "measured"

    def _architecture(self) -> str:
        machine = self._link.run("uname -m").strip()
        if self._emulator:
            machine = Path(self._emulator.split()[0]).name.removeprefix("qemu-").removesuffix("-static")
        if machine not in _ARCHITECTURES:
            raise UserError(
                f"{self.name} has a processor {machine!r}; there are kernels for "
                f"{', '.join(dict.fromkeys(_ARCHITECTURES))}."
            )
        return _ARCHITECTURES[machine]

    def _free_core(self, cores: int) -> int:
        """Returns the last core that is idle, or the one asked for."""
        stat = "grep '^cpu[0-9]' /proc/stat 2>/dev/null"
        found = self._link.run(f"{stat}; sleep 0.4; echo then; {stat}; true")
        idle = _idle_shares(*(part.split("\n") for part in found.partition("then")[::2]))
        if self._core is not None:
            candidates = [self._core]
            if idle and self._core not in idle:
                raise UserError(f"{self.name} has no core {self._core}; it has {', '.join(map(str, idle))}.")
        else:
            candidates = sorted(idle, reverse=True) or [cores - 1]
        free = [core for core in candidates if self._busy or idle.get(core, 1.0) >= _IDLE]
        if not free:
            core = candidates[0]
            raise UserError(
                f"No free core on {self.name}: core {core} is busy for {1 - idle[core]:.0%} of the time; "
                "stop what runs there, or give --busy for times that are not to be trusted."
            )
        return free[0]

    def _send(self, files: Sequence[Path]) -> None:
        try:
            self._link.send(files, self._folder)
        except Failed as error:
            raise self._useless(error) from None

    def _useless(self, error: Failed) -> UserError:
        said = str(error)
        if no_space(said):
            return UserError(f"{self.name} has no space left in {self._folder}; free some and measure again.")
        return UserError(f"{self.name} cannot measure: {said}")

    def _clean_up(self) -> None:
        if self._folder:
            folder, self._folder = self._folder, ""
            try:
                self._link.run(f"rm -rf {shlex.quote(folder)}")
            except (Lost, Failed):
                return  # Nothing is left to do from here.


def _plays_another(cpuinfo: str, architecture: str) -> bool:
    """Returns whether a processor of another kind, or none, runs the program: an emulator does."""
    is_x86 = "vendor_id" in cpuinfo
    return (is_x86 and architecture == "arm64") or "QEMU TCG" in cpuinfo


def _idle_shares(before: Sequence[str], after: Sequence[str]) -> dict[int, float]:
    """Returns the part of the time between two readings of /proc/stat that each core idled."""
    shares = {}
    for one, other in zip(filter(None, before), filter(None, after), strict=False):
        name, *then = one.split()
        _, *now = other.split()
        spent = [int(b) - int(a) for a, b in zip(then, now, strict=True)]
        if sum(spent) > 0:
            shares[int(name.removeprefix("cpu"))] = (spent[3] + spent[4]) / sum(spent)
    return shares
