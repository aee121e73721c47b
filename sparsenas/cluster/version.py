"""Which code computes: what must be the same wherever candidates of one search are worked on."""

import hashlib
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path

import sparsenas

_OTHERS = ("jax", "jaxlib", "flax", "optax", "numpy")


def version() -> dict[str, str]:
    """Returns all code that a result depends on: versions, and a hash of this package's files."""
    root = Path(sparsenas.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    found = {"sparsenas": f"{sparsenas.__version__} ({digest.hexdigest()[:12]})"}
    return found | {name: importlib.metadata.version(name) for name in _OTHERS}


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> str | None:
    """Returns what differs between two versions, as text; None where nothing does.

    >>> differences({"jax": "1", "numpy": "2"}, {"jax": "3", "numpy": "2"})
    'jax 3 instead of 1'
    """
    names = [name for name in expected if found.get(name) != expected[name]]
    if not names:
        return None
    return ", ".join(f"{name} {found.get(name, 'missing')} instead of {expected[name]}" for name in names)
