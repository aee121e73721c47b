"""How sparse each layer of a reference network is."""

from collections.abc import Callable

from sparsenas.space import Layer, misplaced
from sparsenas.sparsity.patterns import DENSE, KernelPattern, Pattern, Sparse, Sparsity, Unstructured

Rule = Callable[[Layer], Sparsity]
"""Layer without zeros to its zeros; asked only for layers that the network allows to be pruned."""

# Four entries of 28 % of the kernels are an eighth of the weights (Ma et al., 2020).
EIGHTFOLD = KernelPattern().fraction(kernels=0.28)

_ANYWHERE = Unstructured()


def dense(layer: Layer) -> Sparsity:
    """Prunes nothing."""
    return DENSE


def uniform(fraction: float, pattern: Pattern = _ANYWHERE) -> Rule:
    """Prunes every layer alike, unstructured where it cannot have the pattern.

    >>> from sparsenas.space import IMAGE, Layer
    >>> conv = Layer(name="a", op="conv", inputs=(IMAGE,), c_in=8, c_out=8, height=7, width=7, kernel=3)
    >>> uniform(0.9, KernelPattern())(conv).pattern.name
    'pattern'
    """

    def rule(layer: Layer) -> Sparsity:
        fits = not misplaced(pattern, layer.op, layer.kernel)
        return Sparse(fraction, pattern if fits else _ANYWHERE)

    return rule


def from_block(first: int, pattern: Pattern, fraction: float) -> Rule:
    """Prunes every layer alike, in a pattern from the block of a number on, unstructured before.

    Layers of a block are named like "block11.expand"; what has no number comes after the blocks.
    """

    def rule(layer: Layer) -> Sparsity:
        name, _, _ = layer.name.partition(".")
        number = name.removeprefix("block")
        late = not number.isdecimal() or int(number) >= first
        return Sparse(fraction, pattern if late else _ANYWHERE)

    return rule
