"""Where latency tables lie: those that come with the package, this machine's own, any file."""

import hashlib
import json
import os
from pathlib import Path

import sparsenas
from sparsenas import native
from sparsenas.errors import UserError

LOCAL = "local"


def cache_folder() -> Path:
    """Returns the user's cache folder of this project: $XDG_CACHE_HOME/sparsenas."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sparsenas"


def known_devices() -> dict[str, Path]:
    """Returns the tables that come with the package, by name."""
    folder = Path(sparsenas.__file__).parent / "latency_models"
    if not any(folder.glob("*.json")):  # Run from a source tree that was not installed.
        folder = folder.parent.parent / "latency_models"
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


def local_table_path() -> Path:
    """Returns where this machine's own table lies; another CPU, instruction set or build, another file."""
    identity = json.dumps([native.cpu(), native.build_id()], sort_keys=True)
    return cache_folder() / "latency" / f"local-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"


def find_table(device: str) -> Path:
    """Returns the table's file of `local`, of a name that comes with the package, or of a path.

    Raises:
        UserError: where there is none.
    """
    if device == LOCAL:
        path = local_table_path()
        if not path.exists():
            raise UserError(
                "This machine has no latency table yet for this CPU and build of the kernels; make one: "
                "sparsenas measure --quick."
            )
        return path
    known = known_devices()
    if device in known:
        return known[device]
    if Path(device).is_file():
        return Path(device)
    raise UserError(
        f"No device named {device!r}. There are: {', '.join([LOCAL, *known])}, "
        "or give the path of a table that `sparsenas measure` wrote."
    )
