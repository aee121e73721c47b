"""The finalists of a search: which ones, how fast they are, and which one wins."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparsenas import checkpoint
from sparsenas.candidates import Trained
from sparsenas.data import Data
from sparsenas.errors import UserError
from sparsenas.export.fold import fold
from sparsenas.export.network import Network, random_network
from sparsenas.export.snas import to_bytes
from sparsenas.latency.device import Device, Lost
from sparsenas.latency.measure import MeasureSettings, interleaved
from sparsenas.latency.model import LatencyModel
from sparsenas.nn.pure import Variables
from sparsenas.search import pareto
from sparsenas.search_settings import SearchSettings
from sparsenas.space import Space
from sparsenas.supernet import supernet
from sparsenas.trials import Trial

# How often a device may be lost while finalists are measured, and how long it may be away.
_LOSSES = 5
_SECONDS_TO_RETURN = 120.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A finalist with its model file and times, next to its dense twin's."""

    trained: Trained
    network: Network
    model: bytes
    latency_ms_predicted: float
    latency_ms: float
    dense_latency_ms: float


def choose_finalists(
    trials: Sequence[Trial], *, target_ms: float, count: int, recommended: Sequence[str] | None = None
) -> list[Trial]:
    """Returns the most accurate distinct trials within the target, the faster one first among equals.

    Where their loss is known, those with the least: of networks that are almost alike it says more.

    Args:
        recommended: architectures, the best first, that come before others whatever these were found to be.
    """
    chosen = most_accurate(trials, target_ms=target_ms, count=count, recommended=recommended)
    if not chosen:
        fastest = min(trial.metrics["latency_ms"] for trial in trials)
        raise UserError(
            f"None of {len(trials)} trials met {target_ms:.4f} ms, the fastest takes {fastest:.4f} ms; "
            "search longer (--trials) or for a higher --target-ms."
        )
    return chosen


def most_accurate(
    trials: Sequence[Trial], *, target_ms: float, count: int, recommended: Sequence[str] | None = None
) -> list[Trial]:
    """Returns what `choose_finalists` does, or nothing where no trial is within the target."""
    distinct = {trial.arch: trial for trial in reversed(trials)}.values()
    within = [trial for trial in distinct if within_target(trial, target_ms)]
    places = {arch: place for place, arch in enumerate(recommended or ())}

    def rank(trial: Trial) -> tuple[int, float, float, int]:
        metrics = trial.metrics
        place = places.get(trial.arch, len(places))
        return place, metrics.get("loss", -metrics["accuracy"]), metrics["latency_ms"], trial.number

    return sorted(within, key=rank)[:count]


def choose_winner(finalists: Sequence[Measured], *, target_ms: float) -> Measured:
    """Returns the most accurate finalist that was measured within the target, else the fastest."""
    within = [finalist for finalist in finalists if finalist.latency_ms <= target_ms]
    if not within:
        return min(finalists, key=lambda finalist: finalist.latency_ms)
    return max(within, key=lambda finalist: (finalist.trained.accuracy, -finalist.latency_ms))


def measure_finalists(
    settings: SearchSettings, space: Space, data: Data, table: LatencyModel, trained: Sequence[Trained]
) -> list[Measured]:
    """Folds finalists and measures them and their dense twins in turn, whole networks on one core.

    Raises:
        UserError: where the device to measure on is not reached, or is lost again and again.
    """
    networks = [folded(space, one, data.classes) for one in trained]
    models = [to_bytes(network) for network in networks]
    # How long a dense network takes does not depend on what it has learned.
    twins = [
        to_bytes(random_network([layer.dense() for layer in network.layers], seed=settings.seed))
        for network in networks
    ]
    if settings.measure_on is None:
        ms = interleaved([*models, *twins], settings.measure)
    else:
        ms = _measured_on(settings.measure_on, [*models, *twins], settings.measure)
    return [
        Measured(
            trained=one,
            network=network,
            model=model,
            latency_ms_predicted=table.predict(network.layers),
            latency_ms=float(ms[i]),
            dense_latency_ms=float(ms[i + len(models)]),
        )
        for i, (one, network, model) in enumerate(zip(trained, networks, models, strict=True))
    ]


def so_far(trials: Sequence[Trial], target_ms: float) -> str:
    """Returns what a search has found until now, for people: the best within the target, and the front."""
    known = [trial for trial in trials if trial.metrics is not None]
    met = [trial for trial in known if within_target(trial, target_ms)]
    front = f"{len(pareto(known))} on the front of accuracy and latency"
    if not met:
        return f"none within target yet, {front}"
    best = max(met, key=lambda trial: (trial.metrics["accuracy"], -trial.metrics["latency_ms"]))
    return (
        f"best within target {best.metrics['accuracy']:.1%} at {best.metrics['latency_ms']:.4f} ms, {front}"
    )


def check_device(settings: SearchSettings) -> None:
    """Raises `UserError` where finalists could not be measured on the device that the settings name."""
    if settings.measure_on is not None:
        with _device(settings.measure_on, settings.measure):
            pass


def _measured_on(name: str, models: Sequence[bytes], settings: MeasureSettings) -> np.ndarray:
    """Returns the milliseconds of whole models on a device; whoever measures has it alone."""
    us: list[tuple[float, ...]] = []
    losses = 0
    with _device(name, settings) as device:
        while len(us) < settings.rounds:
            try:
                for one in device.rounds(models, threads=1, count=settings.rounds - len(us)):
                    us.append(one.us)
            except Lost as error:
                losses += 1
                if losses > _LOSSES:
                    raise UserError(f"{error}, {losses} times; the finalists cannot be measured.") from None
                _find_again(device)
    return np.median(us, axis=0) / 1e3


def _device(name: str, settings: MeasureSettings) -> Device:
    # Imports Ray, which reads its variables then.
    from sparsenas.backends.open import DeviceSettings, open_device

    # In turns, as on this machine: who else uses the core slows all of them alike.
    return open_device(name, DeviceSettings(core=settings.core, busy=True))


def _find_again(device: Device) -> None:
    """Waits for a device that was lost, such as one whose node is started again."""
    until = time.monotonic() + _SECONDS_TO_RETURN
    while True:
        try:
            device.reconnect()
            return
        except Lost as error:
            if time.monotonic() > until:
                raise UserError(f"{error}; the finalists cannot be measured.") from None
            time.sleep(1)


def within_target(trial: Trial, target_ms: float) -> bool:
    return "accuracy" in trial.metrics and trial.metrics["latency_ms"] <= target_ms


def folded(space: Space, trained: Trained, classes: tuple[str, ...]) -> Network:
    fixed = trained.candidate.space(space)
    return fold(fixed, variables_of(fixed, trained), classes=classes)


def variables_of(fixed: Space, trained: Trained) -> Variables:
    return checkpoint.from_arrays(
        supernet(fixed).init(np.random.default_rng(0)), trained.arrays, source="the trained candidate"
    )
