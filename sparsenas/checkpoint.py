"""Arrays of a network on disk: safetensors, no pickle."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

from sparsenas import files
from sparsenas.errors import UserError

PyTree = Any


def to_arrays(tree: PyTree) -> dict[str, np.ndarray]:
    """Returns the arrays of a tree by their path in it."""
    leaves, _ = jax.tree.flatten_with_path(tree)
    # safetensors writes an array that is not contiguous wrongly, without a word.
    return {_name(path): np.ascontiguousarray(leaf) for path, leaf in leaves}


def from_arrays(like: PyTree, arrays: dict[str, np.ndarray], *, source: str) -> PyTree:
    """Returns a tree of the structure of `like`; raises `UserError` where names or shapes differ."""
    leaves, structure = jax.tree.flatten_with_path(like)
    values = []
    for path, leaf in leaves:
        name = _name(path)
        if name not in arrays:
            raise UserError(
                f"{source} has no array {name!r}; it belongs to another space or another version."
            )
        if arrays[name].shape != leaf.shape:
            raise UserError(
                f"Array {name!r} of {source} should have shape {list(leaf.shape)}, "
                f"found {list(arrays[name].shape)}; it belongs to another space."
            )
        values.append(arrays[name])
    return jax.tree.unflatten(structure, values)


def save(path: Path, arrays: dict[str, np.ndarray], *, about: dict[str, str]) -> None:
    """Writes arrays, and what they are about, to one file."""
    files.write(path, safetensors.numpy.save(arrays, metadata=about))


def load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Reads what `save` wrote; raises `UserError` for a damaged file."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise UserError(f"Cannot read the checkpoint {path}: {error}.") from None


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
