"""Weights that a run has on disk: of a network, of a training that goes on, or of a supernet.

best/weights.safetensors, candidates/*.safetensors   a trained network
checkpoints/step-*.safetensors                       a training of one network, so far
checkpoints/supernet.safetensors                     a trained supernet
checkpoints/supernet/step-*.safetensors              one so far
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparsenas import checkpoint, data
from sparsenas.errors import UserError
from sparsenas.export.fold import fold
from sparsenas.export.network import Network
from sparsenas.space import Arch, Space
from sparsenas.supernet import supernet
from sparsenas.train.evaluate import calibrated, calibration_images

FindSpace = Callable[[str, int | None], Space]
"""`(name, side of the images or None) -> space`."""
Choose = Callable[[Space], Arch]

_DENSE = "-dense"
_STEP, _CHECKPOINTS, _SUPERNET, _ARCHITECTURE = "step-", "checkpoints", "supernet", "architecture"
# Of the state of a training (`sparsenas.train.loop`), and what variables call it. An average, where there is
# one, is what the training is for.
_STATE = (("state/params/", "params/"), ("state/stats/", "stats/"), ("arch/", "arch/"), ("ranks/", "ranks/"))
_AVERAGE = (("state/average/0/", "params/"), ("state/average/1/", "stats/"))
_CALIBRATION_IMAGES = 128


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """Arrays of a file, and what they are of.

    Attributes:
        path: where they were found.
        run: the folder of their run.
        arch: option indices of the network; empty for a supernet.
        supernet: whether they are those of all networks of the space.
        fingerprint: of the space, where the file has it.
    """

    path: Path
    run: Path
    arrays: dict[str, np.ndarray]
    arch: str
    supernet: bool
    fingerprint: str | None = None

    def space(self, find_space: FindSpace) -> Space:
        """Returns the space of the run, with as many classes as the weights have."""
        settings = _settings(self.run)
        try:
            name, side = str(settings["space"]), settings["side"]
        except KeyError as error:
            raise UserError(f"The settings of the run {self.run} have no {error}.") from None
        space = find_space(name, side)
        head = self.arrays.get(f"params/{space.templates[-1].name}/weight")
        if head is None:
            raise UserError(
                f"{self.path} has no weights of the last layer of space {space.name!r}; "
                "it is another space's."
            )
        return space.with_classes(head.shape[-1])


def load_weights(path: Path) -> Weights:
    """Reads weights; of a folder of checkpoints those of the newest one.

    Raises:
        UserError: where the file is damaged, or holds no network's weights.
    """
    if path.is_dir():
        path /= f"{_STEP}{max(checkpoint.steps(path)):08}.safetensors"
    folder = path.parent
    if path.stem.startswith(_STEP):
        arrays = _variables(checkpoint.load_file(path))
        if folder.name == _ARCHITECTURE:
            raise UserError(
                f"{path} is a search by gradients that is not done; export its run when it is finished."
            )
        is_supernet = folder.name == _SUPERNET
        run = folder.parent.parent if is_supernet else folder.parent
        arch = "" if is_supernet else _arch_of(run)
        return Weights(path=path, run=run, arrays=arrays, arch=arch, supernet=is_supernet)
    arrays, about = checkpoint.load(path)
    run = folder.parent
    if "candidate" in about:
        raise UserError(f"{path} is what a rung of training left; finished networks are in {run}/candidates.")
    if folder.name == _CHECKPOINTS:
        fingerprint = about.get("space")
        return Weights(path=path, run=run, arrays=arrays, arch="", supernet=True, fingerprint=fingerprint)
    arch = about.get("arch", path.stem.removesuffix(_DENSE))
    return Weights(path=path, run=run, arrays=arrays, arch=arch, supernet=False)


def of_supernet(
    weights: Weights, find_space: FindSpace, *, arch: Choose | None = None, dataset: str | None = None
) -> Network:
    """Returns a network of a supernet, normalised with the statistics that it has alone.

    Args:
        arch: chooses it; the largest one where left out.
        dataset: whose images the statistics are of; the run's own where left out.

    Raises:
        UserError: where the weights are of another space, or there is no such data set.
    """
    space = weights.space(find_space)
    if weights.fingerprint not in (None, space.fingerprint()):
        raise UserError(f"{weights.path} is of another version of space {space.name!r}.")
    net = supernet(space)
    variables = checkpoint.from_arrays(
        net.init(np.random.default_rng(0)), weights.arrays, source=str(weights.path)
    )
    chosen = space.largest if arch is None else arch(space)
    settings = _settings(weights.run)
    name = dataset or str(settings.get("dataset"))
    found = data.load(name, size=space.image[:2], seed=int(settings.get("seed", 0)))
    if len(found.classes) != space.classes:
        raise UserError(
            f"{weights.path} tells {space.classes} classes apart, data set {found.name} has "
            f"{len(found.classes)}; name the one that it was trained with by `--dataset`."
        )
    images = calibration_images(found.train, _CALIBRATION_IMAGES)
    return fold(space, calibrated(net, space, variables)(chosen, images), classes=found.classes, arch=chosen)


def _variables(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the variables in the state of a training."""
    found = {}
    for before, after in (*_STATE, *_AVERAGE):
        found |= {
            after + name.removeprefix(before): array
            for name, array in state.items()
            if name.startswith(before)
        }
    return found


def _arch_of(run: Path) -> str:
    config = _config(run)
    if "arch" not in config:
        raise UserError(f"The settings of the run {run} do not say which network it trains.")
    return str(config["arch"])


def _settings(run: Path) -> dict:
    config = _config(run)
    found = config.get("settings") or config.get("train")
    if not isinstance(found, dict):
        raise UserError(f"The settings of the run {run} name no space.")
    return found


def _config(run: Path) -> dict:
    path = run / "config.json"
    try:
        found = json.loads(path.read_text())
    except OSError:
        raise UserError(f"Weights belong to a run; expected its settings, found no {path}.") from None
    except ValueError as error:
        raise UserError(f"Cannot read the run's settings {path}: {error}.") from None
    if not isinstance(found, dict):
        raise UserError(f"Cannot read the run's settings {path}: expected an object.")
    return found
