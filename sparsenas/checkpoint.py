"""Arrays of a network on disk: safetensors, no pickle.

The checkpoints of a training are two files each in a folder, `step-00001000.safetensors` and a manifest
`step-00001000.json` that is written last: names, shapes and types of the arrays, their file's SHA-256 and
what they are about. A checkpoint without manifest, or with another hash, does not count. The last two stay.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from sparsenas import files
from sparsenas.errors import UserError

PyTree = Any

_KEPT = 2
_BFLOAT16 = np.dtype(jnp.bfloat16)


def to_arrays(tree: PyTree) -> dict[str, np.ndarray]:
    """Returns the arrays of a tree by their path in it."""
    leaves, _ = jax.tree.flatten_with_path(tree)
    # safetensors writes an array that is not contiguous wrongly, without a word.
    return {_name(path): np.asarray(leaf, order="C") for path, leaf in leaves}


def from_arrays(like: PyTree, arrays: dict[str, np.ndarray], *, source: str) -> PyTree:
    """Returns a tree of the structure of `like`; raises `UserError` where names, shapes or types differ."""
    leaves, structure = jax.tree.flatten_with_path(like)
    values = []
    for path, leaf in leaves:
        name = _name(path)
        if name not in arrays:
            raise UserError(
                f"{source} has no array {name!r}; it belongs to another space or another version."
            )
        found = arrays[name]
        if found.shape != np.shape(leaf):
            raise UserError(
                f"Array {name!r} of {source} should have shape {list(np.shape(leaf))}, "
                f"found {list(found.shape)}; it belongs to another space."
            )
        if found.dtype != np.asarray(leaf).dtype:
            raise UserError(
                f"Array {name!r} of {source} should have type {np.asarray(leaf).dtype}, found {found.dtype}; "
                "it belongs to another version."
            )
        values.append(found)
    return jax.tree.unflatten(structure, values)


def save(path: Path, arrays: dict[str, np.ndarray], *, about: dict[str, str]) -> None:
    """Writes arrays, and what they are about, to one file."""
    files.write(path, safetensors.numpy.save(arrays, metadata=about))


def load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Reads what `save` wrote; raises `UserError` for a damaged file."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise UserError(f"Cannot read the checkpoint {path}: {error}.") from None


def save_step(folder: Path, step: int, arrays: dict[str, np.ndarray], *, about: Mapping[str, str]) -> None:
    """Writes the checkpoint of a training after so many steps, and removes all but the last two."""
    data, manifest = _paths(folder, step)
    content = safetensors.numpy.save({name: _storable(array) for name, array in arrays.items()})
    files.write(data, content)
    described = {
        "step": step,
        "sha256": hashlib.sha256(content).hexdigest(),
        "about": dict(about),
        "arrays": {name: [str(array.dtype), list(array.shape)] for name, array in arrays.items()},
    }
    files.write(manifest, json.dumps(described, indent=1) + "\n")
    for old in sorted(steps(folder))[:-_KEPT]:
        # The manifest goes first: without it the other file is nothing.
        for path in reversed(_paths(folder, old)):
            path.unlink(missing_ok=True)


def steps(folder: Path) -> list[int]:
    """Returns after which steps there are checkpoints in a folder, in no order."""
    names = [path.stem.removeprefix("step-") for path in folder.glob("step-*.json")]
    return [int(name) for name in names if name.isdecimal()]


def last_step(folder: Path) -> tuple[int, dict[str, np.ndarray], dict[str, str]] | None:
    """Returns step, arrays and what they are about of the newest whole checkpoint; None for an empty folder.

    Raises:
        UserError: where there are checkpoints, but none is whole.
    """
    damages = []
    for step in sorted(steps(folder), reverse=True):
        try:
            return step, *_load_step(folder, step)
        except UserError as error:
            damages.append(str(error))
    if damages:
        raise UserError(f"{damages[0]} None of {len(damages)} checkpoints there is whole; start again.")
    return None


def load_file(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of one checkpoint of a training.

    Raises:
        UserError: where it is damaged, or no such file.
    """
    number = path.stem.removeprefix("step-")
    if not number.isdecimal():
        raise UserError(f"Expected a checkpoint like step-00001000.safetensors, found {str(path)!r}.")
    return _load_step(path.parent, int(number))[0]


def _load_step(folder: Path, step: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    data, manifest = _paths(folder, step)
    try:
        described = json.loads(manifest.read_text())
        content = data.read_bytes()
        expected, about, arrays = described["sha256"], described["about"], described["arrays"]
        if hashlib.sha256(content).hexdigest() != expected:
            raise UserError(f"The checkpoint {str(data)!r} is damaged: its SHA-256 is not {expected[:16]}...")
        stored = safetensors.numpy.load(content)
        return {name: _restored(stored[name], kind) for name, (kind, _) in arrays.items()}, about
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise UserError(f"Cannot read the checkpoint {str(manifest)!r}: {error}.") from None


def _paths(folder: Path, step: int) -> tuple[Path, Path]:
    return folder / f"step-{step:08}.safetensors", folder / f"step-{step:08}.json"


def _storable(array: np.ndarray) -> np.ndarray:
    """Returns what safetensors has a type for: it knows no bfloat16 of numpy's."""
    return array.view(np.uint16) if array.dtype == _BFLOAT16 else array


def _restored(array: np.ndarray, kind: str) -> np.ndarray:
    return array.view(_BFLOAT16) if kind == "bfloat16" else array


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
