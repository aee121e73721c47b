"""What the page and its charts show of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparsenas.report.summary import Summary


@dataclass(frozen=True, kw_only=True)
class TrialPoint:
    """An architecture as the search saw it.

    Attributes:
        options: the chosen option of every choice that matters, by name.
        accuracy: on the validation images, with the supernet's weights.
        latency_ms: predicted.
        is_finalist: it was trained from scratch and measured.
    """

    arch: str
    options: Mapping[str, Any]
    accuracy: float
    latency_ms: float
    is_finalist: bool


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """An architecture that was trained from scratch; `name` is its text, accuracy is on validation images."""

    name: str
    accuracy: float
    latency_ms_predicted: float
    latency_ms_measured: float


@dataclass(frozen=True, kw_only=True)
class BaselinePoint:
    """A network with one sparsity in all layers, trained and measured like a finalist.

    Attributes:
        name: says the sparsity, and for what part of the target it was chosen.
        accuracy: on the test images.
    """

    name: str
    accuracy: float
    latency_ms_measured: float


@dataclass(frozen=True, kw_only=True)
class LayerTime:
    """A layer of a network as the native runtime ran it.

    Attributes:
        shape: channels and pixels, for people.
        sparsity: fraction of zeros of the weights.
        kernel: name of the native kernel.
        us: median microseconds of one image.
        pattern: where the zeros may be; empty where that is not known.
        note: why the layer runs in the form it does; empty where its operator has but one.
    """

    name: str
    op: str
    shape: str
    sparsity: float
    kernel: str
    us: float
    pattern: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Belief:
    """What a strategy believed of one choice over the search.

    Attributes:
        at: after how many trials or steps each row of the probabilities held, ascending.
        probabilities: of the options, a row for each of `at`; a row adds up to 1.
    """

    choice: str
    options: tuple[str, ...]
    at: tuple[int, ...]
    probabilities: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A number over the steps of a training, such as the loss of the supernet."""

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """All that a report shows.

    Attributes:
        trials: in the order of the search.
        layers, dense_layers: of the winner and of its dense twin.
        machine: `cpu`, `isa`, `cores`, `pinned_core`, ... of the machine that measured.
        command: repeats the run when typed into a shell.
        versions: of the programs that a result depends on, by name.
        baselines: what the winner is to be compared with beside its dense twin.
        beliefs: of strategies that have probabilities, one for each choice.
        unit_of_beliefs: what their `at` counts: trials or steps.
        warnings: what is suspicious about them.
        curves: of the trainings.
    """

    summary: Summary
    trials: tuple[TrialPoint, ...]
    finalists: tuple[Finalist, ...]
    layers: tuple[LayerTime, ...]
    dense_layers: tuple[LayerTime, ...]
    machine: Mapping[str, Any]
    command: str
    versions: Mapping[str, str]
    baselines: tuple[BaselinePoint, ...] = ()
    beliefs: tuple[Belief, ...] = ()
    unit_of_beliefs: str = "trials"
    warnings: tuple[str, ...] = ()
    curves: tuple[Curve, ...] = ()
