"""Ranks a few networks of a space by a supernet that is trained for them alone.

A supernet that is trained as any network of its space, or as mixtures of many, shares its weights among
millions. Trained as each of a few in turn it says more about these.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparsenas.nn.pure import PureModule
from sparsenas.space import Arch, Space
from sparsenas.train.evaluate import Scores, supernet_scorer
from sparsenas.train.keeping import Keeper
from sparsenas.train.loop import Report
from sparsenas.train.supernet import SupernetSettings, train_supernet

if TYPE_CHECKING:
    from sparsenas.data import Split

# Images of the statistics that a network is scored with.
_CALIBRATION = 256
# Networks scored in one call of an accelerator.
_CHUNK = 16


def contest(
    net: PureModule,
    space: Space,
    archs: Sequence[Arch],
    split: "Split",
    validation: "Split",
    settings: SupernetSettings,
    *,
    seed: int,
    report: Report | None = None,
    keeper: Keeper | None = None,
) -> Scores:
    """Trains new weights as each of some networks in turn, and returns how good each is with them.

    Args:
        split: images to learn from.
        validation: images to score with.
        settings: of the training; what they say of networks to train does not count.
        keeper: keeps the state on disk and goes on from what is there, to the last bit.

    Raises:
        UserError: as `train_supernet`.
    """
    variables = train_supernet(
        net, space, split, settings, seed=seed, among=archs, report=report, keeper=keeper
    )
    score = supernet_scorer(
        net,
        space,
        variables,
        calibration=split,
        validation=validation,
        calibration_size=_CALIBRATION,
        chunk=_CHUNK,
    )
    return score(archs)
