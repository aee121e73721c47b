"""What a network may be exported from: a run, a model file, or the weights in a run, be they half trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from sparsenas import checkpoint
from sparsenas.errors import UserError
from sparsenas.export.fold import fold
from sparsenas.export.network import Network
from sparsenas.export.read import read
from sparsenas.single.weights import Choose, FindSpace, Weights, load_weights, of_supernet
from sparsenas.space import SPARSE_PATTERNS, Layer
from sparsenas.sparsity.patterns import Unstructured
from sparsenas.supernet import supernet


def find_network(
    source: Path,
    find_space: FindSpace,
    *,
    dense: bool = False,
    arch: Choose | None = None,
    dataset: str | None = None,
) -> Network:
    """Returns the network that a path stands for.

    Args:
        source: the folder of a finished run, a model file, a file of weights in a run
            (`sparsenas.single.weights`), or a folder of checkpoints, of which the newest counts.
        dense: the dense twin of a search's winner.
        arch: which network of a supernet; the largest where left out.
        dataset: whose images a network of a supernet is normalised with; those of its run where left out.

    Raises:
        UserError: where there is none.
    """
    if source.is_dir() and not checkpoint.steps(source):
        path = source / "best" / ("dense.snas" if dense else "model.snas")
        if not path.is_file():
            raise UserError(
                f"Expected a finished run in {str(source)!r}, found no {path}. What a training has so far is "
                f"in {source / 'checkpoints'}."
            )
        found = read(path)
    elif dense:
        raise UserError(f"`--dense` is for the folder of a search, found {str(source)!r}.")
    elif source.is_dir() or source.suffix == ".safetensors":
        weights = load_weights(source)
        if weights.supernet:
            return of_supernet(weights, find_space, arch=arch, dataset=dataset)
        found = _of_weights(weights, find_space)
    else:
        found = read(source)
    if arch is not None:
        raise UserError(f"`--arch` is for the checkpoint of a supernet; {str(source)!r} is one network.")
    return found


def _of_weights(weights: Weights, find_space: FindSpace) -> Network:
    """Returns the network of a trained candidate; its zeros are those that its weights have."""
    space = weights.space(find_space)
    fixed = space.fixed(space.parse(weights.arch), dense=True)
    like = supernet(fixed).init(np.random.default_rng(0))
    variables = checkpoint.from_arrays(like, weights.arrays, source=str(weights.path))
    model = weights.run / "best" / "model.snas"
    classes = read(model).classes if model.is_file() else tuple(map(str, range(fixed.classes)))
    return _with_its_zeros(fold(fixed, variables, classes=classes))


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
