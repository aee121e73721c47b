"""Networks that were trained before: where another training starts, and teachers."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparsenas import checkpoint
from sparsenas.errors import UserError
from sparsenas.nn.pure import Variables
from sparsenas.space import Space
from sparsenas.supernet import supernet


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A network that was trained before.

    Attributes:
        space: without choices and without zeros: weights tell themselves which of them are 0.
        variables: of `supernet(space)`.
    """

    space: Space
    variables: Variables


def load_trained(folder: Path, find_space: Callable[[str, int | None], Space]) -> Trained:
    """Returns the network of a finished run, of a search or of a training.

    Args:
        find_space: name of a space and side of its images to the space.

    Raises:
        UserError: where there is none, or it belongs to another version of the space.
    """
    described = folder / "best" / "arch.json"
    try:
        found = json.loads(described.read_text())
        name, side, text = found["space"], found.get("side"), found["arch"]
    except OSError:
        raise UserError(f"Expected a finished run in {str(folder)!r}, found no {described}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"Cannot read {str(described)!r}: {error}.") from None
    space = find_space(name, side)
    path = folder / "best" / "weights.safetensors"
    arrays, _ = checkpoint.load(path)
    head = arrays.get(f"params/{space.templates[-1].name}/weight")
    if head is None:
        raise UserError(f"{path} has no weights of the last layer of space {name!r}; it is another space's.")
    space = space.with_classes(head.shape[-1])
    fixed = space.fixed(space.parse(text), dense=True)
    like = supernet(fixed).init(np.random.default_rng(0))
    return Trained(space=fixed, variables=checkpoint.from_arrays(like, arrays, source=str(path)))
