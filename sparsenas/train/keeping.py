"""Keeps training on disk, so that it goes on after a stop exactly where it was."""

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from sparsenas import checkpoint
from sparsenas.errors import UserError

if TYPE_CHECKING:
    from sparsenas.data import Split

PyTree = Any


@dataclass(frozen=True, kw_only=True)
class Keeper:
    """Writes checkpoints of one training into a folder, and finds the last one again.

    Attributes:
        folder: of the checkpoints; nobody else writes there.
        about: what the training is, such as its space, data and settings; another one is refused.
        every: steps between two checkpoints, but for calls of the device, which are never cut.
    """

    folder: Path
    about: Mapping[str, str]
    every: int = 500

    def __post_init__(self) -> None:
        if self.every < 1:
            raise UserError(f"`every` of checkpoints must be at least 1, found {self.every}.")

    @property
    def last(self) -> int | None:
        """Steps of the newest checkpoint; None where there is none."""
        return max(checkpoint.steps(self.folder), default=None)

    def is_due(self, done: int) -> bool:
        """Tells whether it is time for a checkpoint."""
        return done - (self.last or 0) >= self.every

    def save(self, done: int, tree: PyTree) -> None:
        """Writes a checkpoint after so many steps, unless it is there."""
        if done != self.last:
            about = {**self.about, **_how()}
            checkpoint.save_step(self.folder, done, checkpoint.to_arrays(tree), about=about)

    def load(self, like: PyTree) -> tuple[int, PyTree] | None:
        """Returns the steps done and the tree of the newest whole checkpoint; None where there is none.

        Raises:
            UserError: where it belongs to another training, or all are damaged.
        """
        found = checkpoint.last_step(self.folder)
        if found is None:
            return None
        step, arrays, about = found
        for name, expected in self.about.items():
            if about.get(name) != expected:
                raise UserError(
                    f"The checkpoints in {str(self.folder)!r} belong to another training: its {name} is "
                    f"{about.get(name, 'not known')}, this one's is {expected}; give another folder."
                )
        return step, checkpoint.from_arrays(like, arrays, source=str(self.folder))


def described(network: str, split: "Split", settings: Any, *, seed: int) -> dict[str, str]:
    """Returns what a checkpoint must agree in.

    Args:
        network: fingerprint of its space.
        settings: a dataclass.
    """
    digest = hashlib.sha256(split.images.tobytes() + split.labels.tobytes()).hexdigest()[:16]
    found = {"network": network, "images": digest, "seed": str(seed)}
    return found | {name: str(value) for name, value in dataclasses.asdict(settings).items()}


def _how() -> dict[str, str]:
    """Returns what the last bits of a result depend on beside settings: recorded, not compared."""
    return {"jax": jax.__version__, "backend": jax.default_backend(), "cores": str(os.cpu_count())}
