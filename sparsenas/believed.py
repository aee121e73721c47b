"""What the strategy of a run believed over time, found from its log and left in its folder."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from sparsenas.reward import Reward
from sparsenas.space import Space
from sparsenas.strategies.base import Result, Strategy
from sparsenas.strategies.beliefs import FILE, read_beliefs, replayed, write_beliefs
from sparsenas.strategies.collapse import warnings
from sparsenas.trials import Trial


def note_beliefs(
    space: Space, strategy: Strategy, reward: Reward, trials: Iterable[Trial], folder: Path, *, name: str
) -> list[str] | None:
    """Writes what a strategy with probabilities believed, and returns what is suspicious; None for others.

    Args:
        trials: of the log; those that were told, in order, are those of the lowest rung with a result.
        name: of the strategy.
    """
    told = [
        (space.parse(trial.arch), Result(reward(trial.metrics), trial.metrics))
        for trial in trials
        if trial.metrics is not None and not trial.rung
    ]
    beliefs = replayed(space, strategy, told)
    if beliefs is None:
        return None
    found = warnings(space, beliefs)
    write_beliefs(beliefs, folder / FILE, strategy=name, warnings=found)
    return found


def recommended(
    space: Space, strategy: Strategy, reward: Reward, trials: Iterable[Trial]
) -> list[str] | None:
    """Returns the architectures that a strategy recommends after some trials; None where it has no opinion.

    Args:
        trials: as they were told, in order; those without a result are left out.
    """
    if strategy.recommend is None:
        return None
    state = strategy.init()
    for trial in trials:
        if trial.metrics is not None:
            result = Result(reward(trial.metrics), trial.metrics)
            state = strategy.tell(state, space.parse(trial.arch), result)
    return [space.text(arch) for arch in strategy.recommend(state)]


def belief_rows(folder: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Yields each time that a run's beliefs were noted with the probability of every option, by choice and
    option; nothing where its strategy had none."""
    path = folder / FILE
    if not path.exists():
        return
    found = read_beliefs(path)
    each = list(zip(found.choices, found.options, found.probabilities, strict=True))
    for row, at in enumerate(found.at):
        yield (
            at,
            {
                f"{choice}/{option}": float(probability)
                for choice, options, probabilities in each
                for option, probability in zip(options, probabilities[row], strict=True)
            },
        )
