"""What determines the training of one network."""

from dataclasses import dataclass, field, replace
from typing import Literal

from sparsenas.errors import UserError
from sparsenas.space import Arch, Space
from sparsenas.train import NetworkSettings


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """All that determines the training of one network, beside its architecture.

    Attributes:
        space: a space by name, or a Python file that defines SPACE.
        side: pixels of the image's side; the space's usual one if left out.
        dataset: `digits`, a folder or archive with train/<class>/* and test/<class>/*, the binary version of
            CIFAR-10 or CIFAR-100, or a .npz file.
        limit: at most this many images of each split, for a quick look.
        dense: without any zeros, whatever the architecture has.
        sparsity: overall fraction of zeros of the layers that are pruned, instead of the architecture's own.
        pattern: of these zeros.
        distribution: who gets them: every layer alike, small layers fewer (`erk`), or layers where `device`
            makes them pay (`guided`: as fast as `uniform`, and less is taken away).
        target_ms: what a `guided` network is to take, instead of `sparsity`.
        device: the latency table of `guided`, and of the prediction in the summary; none if left out.
        learn_patterns: how many kernel patterns to learn from the weights of `start`; 0 for the usual eight.
        start: folder of a finished run of the same architecture, whose weights are trained on.
        teacher: folder of a finished run, whose network's answers are learned as well.
        teacher_weight: of the teacher's word against the labels'.
        temperature: of the teacher's answers; the higher, the more wrong classes count.
        checkpoint_every: steps between two checkpoints.
        seed: of everything that is random.
    """

    space: str = "tiny"
    side: int | None = None
    dataset: str = "digits"
    limit: int | None = None
    dense: bool = False
    sparsity: float | None = None
    pattern: Literal["unstructured", "block2", "block4", "2:4", "pattern"] = "unstructured"
    distribution: Literal["uniform", "erk", "guided"] = "uniform"
    target_ms: float | None = None
    device: str | None = None
    learn_patterns: int = 0
    start: str | None = None
    teacher: str | None = None
    teacher_weight: float = 0.5
    temperature: float = 4.0
    checkpoint_every: int = 500
    seed: int = 0
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(steps=1500))

    def __post_init__(self) -> None:
        guided = self.distribution == "guided"
        if self.target_ms is not None and not self.target_ms > 0:
            raise UserError(f"`target_ms` must be above 0, found {self.target_ms}.")
        if self.sparsity is not None and not 0 < self.sparsity < 1:
            raise UserError(
                f"`sparsity` must be above 0 and below 1, found {self.sparsity:g}; at 1 nothing would be "
                "left, and for no zeros there is `dense`."
            )
        if self.dense and (self.sparsity is not None or self.target_ms is not None):
            raise UserError("A `dense` network has no zeros; leave out `sparsity` and `target_ms`.")
        if guided and (self.device is None or (self.sparsity is None) == (self.target_ms is None)):
            raise UserError(
                "`guided` zeros need a `device`, and either `sparsity` or `target_ms`; found device "
                f"{self.device}, sparsity {self.sparsity}, target_ms {self.target_ms}."
            )
        if self.target_ms is not None and not guided:
            raise UserError("`target_ms` is for `distribution` guided.")
        if self.learn_patterns and (self.pattern != "pattern" or self.start is None):
            raise UserError("`learn_patterns` needs `pattern` pattern and the weights of `start`.")


def architecture(space: Space, text: str, settings: TrainSettings) -> tuple[Arch, TrainSettings]:
    """Returns the architecture that a name or option indices mean, and what it makes of the settings.

    Args:
        text: option indices joined by '-', the name of a reference network of the space, `largest`,
            `smallest`, or `dense`, which is the largest without zeros.

    Raises:
        UserError: where the space has no such architecture.
    """
    named = {"largest": space.largest, "dense": space.largest, "smallest": space.smallest, **space.references}
    if text not in named:
        try:
            return space.parse(text), settings
        except UserError as error:
            raise UserError(f"{error} Names of space {space.name!r} are {', '.join(named)}.") from None
    return space.check(named[text]), replace(settings, dense=settings.dense or text == "dense")
