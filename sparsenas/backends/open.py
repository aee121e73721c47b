"""From what people call a device to the device."""

from dataclasses import dataclass
from pathlib import Path

from sparsenas.backends.adb import Adb
from sparsenas.backends.browser import Browser
from sparsenas.backends.cluster import OnCluster
from sparsenas.backends.node import Node
from sparsenas.backends.remote import Remote
from sparsenas.backends.ssh import Ssh
from sparsenas.errors import UserError
from sparsenas.latency.device import Device
from sparsenas.latency.local import LOCAL, Local

FORMS = "local, ssh://[USER@]HOST[:PORT], adb://SERIAL, node, browser, ray://NAME and modelled:CORE"


@dataclass(frozen=True, kw_only=True)
class DeviceSettings:
    """How a device is used; each has what it can do something with.

    Attributes:
        core: the processor core, the last of several; one that is free where left out.
        isa: the instruction set; the best of the device where left out.
        emulator: (ssh, adb) a program there that runs a binary of another processor; times are emulated.
        program: (ssh, adb) the device runner; built for the device where left out.
        busy: measure on a core that others use as well.
    """

    core: int | None = None
    isa: str | None = None
    emulator: str | None = None
    program: Path | None = None
    busy: bool = False


def open_device(device: str, settings: DeviceSettings, *, threads: int = 1) -> Device:
    """Returns a device that is yet to be connected with `with`.

    Args:
        device: in one of `FORMS` that can be measured.
        threads: the most that any measurement wants.

    Raises:
        UserError: where there is no such form, or a setting is not for this device.
    """
    kind = device.partition(":")[0]
    core, isa = settings.core, settings.isa
    links = {"ssh": Ssh, "adb": Adb}
    if kind not in links and (settings.emulator or settings.program):
        raise UserError(f"`--emulator` and `--program` are for ssh:// and adb://, not for {device!r}.")
    if threads > 1 and kind in ("node", "browser"):
        raise UserError(f"WebAssembly has one thread here, found --threads {threads}.")
    if device == LOCAL:
        return Local(core=core, threads=threads, isa=isa, busy=settings.busy)
    if kind in links and device.startswith(f"{kind}://"):
        link = links[kind](device)
        return Remote(
            link, core=core, isa=isa, emulator=settings.emulator, program=settings.program, busy=settings.busy
        )
    if device == "node":
        return Node(core=core, isa=isa, busy=settings.busy)
    if device == "browser":
        return Browser(core=core, isa=isa, busy=settings.busy)
    if device.startswith("ray://"):
        return OnCluster(device, core=core, threads=threads, isa=isa, busy=settings.busy)
    raise UserError(f"Expected a device like {FORMS}, found {device!r}.")
