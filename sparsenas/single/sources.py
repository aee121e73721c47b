"""What a network may be exported from: a run, a model file, or the weights of a trained candidate."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from sparsenas import checkpoint
from sparsenas.errors import UserError
from sparsenas.export.fold import fold
from sparsenas.export.network import Network
from sparsenas.export.read import read
from sparsenas.space import SPARSE_PATTERNS, Layer, Space
from sparsenas.sparsity.patterns import Unstructured
from sparsenas.supernet import supernet

FindSpace = Callable[[str, int | None], Space]
"""`(name, side of the images or None) -> space`."""

_DENSE = "-dense"


def find_network(source: Path, find_space: FindSpace, *, dense: bool = False) -> Network:
    """Returns the network that a path stands for.

    Args:
        source: the folder of a finished run, a model file, or a file of weights in a run:
            best/weights.safetensors or candidates/*.safetensors.
        dense: the dense twin of a search's winner.

    Raises:
        UserError: where there is none.
    """
    if source.is_dir():
        path = source / "best" / ("dense.snas" if dense else "model.snas")
        if not path.is_file():
            raise UserError(f"Expected a finished run in {str(source)!r}, found no {path}.")
        return read(path)
    if dense:
        raise UserError(f"`--dense` is for the folder of a search, found {str(source)!r}.")
    return _of_weights(source, find_space) if source.suffix == ".safetensors" else read(source)


def _of_weights(path: Path, find_space: FindSpace) -> Network:
    """Returns the network of a trained candidate; its zeros are those that its weights have."""
    arrays, about = checkpoint.load(path)
    run = path.parent.parent
    space = find_space(*_space_of(run))
    text = about.get("arch", path.stem.removesuffix(_DENSE))
    head = arrays.get(f"params/{space.templates[-1].name}/weight")
    if head is None:
        raise UserError(
            f"{path} has no weights of the last layer of space {space.name!r}; it is another space's."
        )
    fixed = space.with_classes(head.shape[-1]).fixed(space.parse(text), dense=True)
    like = supernet(fixed).init(np.random.default_rng(0))
    variables = checkpoint.from_arrays(like, arrays, source=str(path))
    model = run / "best" / "model.snas"
    classes = read(model).classes if model.is_file() else tuple(map(str, range(fixed.classes)))
    return _with_its_zeros(fold(fixed, variables, classes=classes))


def _space_of(run: Path) -> tuple[str, int | None]:
    config = run / "config.json"
    try:
        found = json.loads(config.read_text())
        settings = found.get("settings") or found["train"]
        return str(settings["space"]), settings["side"]
    except OSError:
        raise UserError(f"Weights belong to a run; expected its settings, found no {config}.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"Cannot read the run's settings {config}: {error}.") from None


def _with_its_zeros(network: Network) -> Network:
    """Returns a network whose layers say how many zeros their weights have."""

    def described(layer: Layer, zeros: float) -> Layer:
        if not zeros or layer.op not in SPARSE_PATTERNS:
            return layer
        return replace(layer, pattern=Unstructured(), sparsity=zeros)

    layers = tuple(
        layer if one is None else described(layer, 1 - np.count_nonzero(one.weight) / one.weight.size)
        for layer, one in zip(network.layers, network.weights, strict=True)
    )
    return replace(network, layers=layers)
