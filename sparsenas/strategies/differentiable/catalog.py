"""The differentiable searches by name."""

from collections.abc import Callable
from functools import partial

from sparsenas.strategies.differentiable.base import Differentiable
from sparsenas.strategies.differentiable.darts import darts
from sparsenas.strategies.differentiable.gumbel import gumbel
from sparsenas.strategies.differentiable.proxyless import proxyless

DIFFERENTIABLE: dict[str, Callable[[], Differentiable]] = {
    "darts": darts,
    "darts2": partial(darts, order=2),
    "gumbel": gumbel,
    "proxyless": proxyless,
}
