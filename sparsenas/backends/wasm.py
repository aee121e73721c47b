"""The WebAssembly modules, one for each instruction set of engines."""

from pathlib import Path

from sparsenas.cross import built, repository
from sparsenas.errors import UserError

_BUILDS = {"wasm128": ("wasm", "sparsenas.wasm"), "wasm_relaxed": ("wasm_relaxed", "sparsenas_relaxed.wasm")}


def module(isa: str) -> Path:
    """Builds a module where that changed, and returns its file."""
    if isa not in _BUILDS:
        raise UserError(f"Instruction sets of WebAssembly are {' and '.join(_BUILDS)}, found {isa!r}.")
    folder, name = _BUILDS[isa]
    return built(folder, "sparsenas_wasm") / "wasm" / name


def scripts() -> Path:
    """Returns the folder of the JavaScript that runs them."""
    return repository() / "native" / "wasm"
