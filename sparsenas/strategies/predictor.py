"""Bayesian optimisation with an accuracy predictor (BANANAS, White et al., 2021, https://arxiv.org/abs/1910.11858;
here with a Gaussian process, as in NAS-BOWL, Ru et al., 2021, https://arxiv.org/abs/2006.07556)."""

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from sparsenas.space import Arch, Space
from sparsenas.strategies.base import Result, Strategy
from sparsenas.strategies.gaussian_process import Kept, Process
from sparsenas.strategies.pools import all_archs, mutants, random_archs, sizes_of

# Rows that the process is told, and that its hyperparameters are fitted to: the best and the latest.
_TOLD, _FITTED = 256, 96
# Hyperparameters are fitted again when there are this many times as many trials.
_GROWTH = 1.15
# A space of at most so many architectures is looked at as a whole, of others so many at a time.
_WHOLE, _POOL = 8192, 1024
# Of those, how many of the highest mean get a deviation.
_UNCERTAIN = 1024
# Times that the most promising of a pool are mutated, and how many they are.
_ROUNDS, _PARENTS = 3, 24
# Farther below the median than so many times the best is above it makes no difference.
_BELOW = 2.0
# Architectures that the scale of the costs is taken from.
_SCALE = 1024

T = TypeVar("T")

Numbers = Callable[[np.ndarray], np.ndarray]
"""A function of architectures as an integer array [N, choices]."""


class State(NamedTuple):
    """What was told, in order.

    Attributes:
        archs, values: of all trials; not a number where nothing was found.
        expected: being evaluated.
        theta: hyperparameters of the process.
        next_fit: trials from which they are fitted again.
    """

    archs: tuple[Arch, ...]
    values: tuple[float, ...]
    expected: tuple[Arch, ...]
    theta: np.ndarray
    next_fit: float


def predictor(
    space: Space,
    *,
    costs: Numbers | None = None,
    excess: Numbers | None = None,
    learns: str | None = None,
    initial: int = 8,
    optimism: float = 0.5,
) -> Strategy:
    """Proposes what a Gaussian process expects to be best: its mean plus `optimism` deviations.

    The process sees which options differ, with a length of its own for every choice, and the costs. Its noise
    is fitted as well, so that one lucky training does not mislead it. What is being evaluated is believed to
    turn out as predicted: the mean stays and the deviation shrinks (kriging believer, Ginsbourger et al.,
    2010, https://doi.org/10.1007/978-3-642-10701-6_6).

    Args:
        costs: [N, choices] to [N, K], things known of any architecture that accuracy goes with, such as
            multiply-accumulates and latency.
        excess: [N, choices] to [N], 0 where the constraints are met and otherwise by how much they are not.
            What exceeds them is proposed only where nothing else is found.
        learns: the metric that is predicted, instead of the reward.
        initial: random architectures before the process is asked.
        optimism: deviations.
    """
    if initial < 2:
        raise ValueError(f"`initial` ({initial}) must be at least 2.")
    if optimism < 0:
        raise ValueError(f"`optimism` ({optimism}) must be at least 0.")
    sizes = sizes_of(space)
    whole = all_archs(sizes) if space.size <= _WHOLE else None
    sample = whole if whole is not None else random_archs(np.random.default_rng(0), sizes, _SCALE)
    # [N, K]; without costs K is 0.
    costs_of = (lambda archs: np.zeros((len(archs), 0))) if costs is None else costs
    known_costs = costs_of(sample)
    center, scale = known_costs.mean(0), known_costs.std(0) + 1e-12
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int)
    process = Process(
        np.concatenate([np.repeat(np.arange(len(sizes)), sizes), len(sizes) + np.arange(len(center))])
    )

    def features(archs: np.ndarray) -> np.ndarray:
        """One-hot options, two rows a squared distance of 1 apart for each that differs, and scaled costs."""
        rows = np.zeros((len(archs), int(sizes.sum())))
        np.put_along_axis(rows, archs + starts, np.sqrt(0.5), 1)
        return np.concatenate([rows, (costs_of(archs) - center) / scale], 1)

    whole_features = None if whole is None else features(whole)
    kept = None if whole is None else Kept(process, whole_features)

    def init() -> State:
        return State((), (), (), process.prior(), initial)

    @_alone
    def tell(state: State, arch: Arch, result: Result) -> State:
        value = result.reward if learns is None else result.metrics.get(learns, np.nan)
        archs, values = (*state.archs, arch), (*state.values, float(value))
        theta, next_fit = state.theta, state.next_fit
        if len(archs) >= next_fit:
            rows = _informative(np.array(values), _FITTED)
            if len(rows) >= 2:
                x = features(np.array([archs[row] for row in rows]))
                theta = process.fit(x, _targets(np.array(values)[rows]), theta)
            next_fit = len(archs) * _GROWTH
        return State(archs, values, state.expected, theta, next_fit)

    def expect(state: State, arch: Arch) -> State:
        return state._replace(expected=(*state.expected, arch))

    @_alone
    def ask(state: State, rng: np.random.Generator) -> Arch:
        values = np.array(state.values, float)
        rows = _informative(values, _TOLD)
        if len(state.archs) + len(state.expected) < initial or len(rows) < 2:

            def score(archs: np.ndarray) -> np.ndarray:
                return rng.random(len(archs))

        else:
            score = _confidence(state, rows, values)
        pool = whole
        if pool is None:
            pool = random_archs(rng, sizes, _POOL)
            best = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")[:_PARENTS]
            if len(best):
                pool = np.concatenate([pool, mutants(rng, sizes, np.array(state.archs)[best], _POOL)])
        scores = _met(pool, score(pool))
        for _ in range(0 if whole is not None else _ROUNDS):
            parents = pool[np.argsort(-scores, kind="stable")[:_PARENTS]]
            children = mutants(rng, sizes, parents, _POOL // 2)
            pool = np.concatenate([pool, children])
            scores = np.concatenate([scores, _met(children, score(children))])
        seen = {*state.archs, *state.expected}
        ranked = (space.canonical(tuple(pool[i].tolist())) for i in np.argsort(-scores, kind="stable"))
        return next((arch for arch in ranked if arch not in seen), space.sample(rng))

    def _confidence(state: State, rows: np.ndarray, values: np.ndarray) -> Numbers:
        """Returns the upper confidence bound; the mean alone for what has a far lower mean than others."""
        known = [state.archs[row] for row in rows]
        x = features(np.array(known))
        y = _targets(values[rows])
        told = process.condition(x, y, state.theta)
        if state.expected:
            known = [*known, *state.expected]
            pending = features(np.array(state.expected))
            y = np.concatenate([y, process.mean(told, pending, state.theta)])
            told = process.condition(np.concatenate([x, pending]), y, state.theta)

        def score(archs: np.ndarray) -> np.ndarray:
            if archs is whole:
                x, covariance = whole_features, kept.covariance(known, told.x, state.theta)
            else:
                x = features(archs)
                covariance = process.covariance(told.x, x, state.theta)
            mean = told.weights @ covariance
            # Deviations take longer than means, and matter for few: those that may be proposed.
            open_ones = mean if excess is None else np.where(excess(archs) > 0, -np.inf, mean)
            close = np.argsort(-open_ones, kind="stable")[:_UNCERTAIN]
            mean[close] += optimism * process.deviation_by(told, covariance[:, close], x[close], state.theta)
            return mean

        return score

    def _met(archs: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Puts what exceeds the constraints behind everything else, the farthest last."""
        if excess is None:
            return scores
        over = excess(archs)
        return np.where(over > 0, -1e6 * (1 + over), scores)

    @_alone
    def recommend(state: State) -> list[Arch]:
        values = np.array(state.values, float)
        if excess is not None:
            over = excess(np.array(state.archs)) > 0
            values = np.where(over & ~over.all(), np.nan, values)
        rows = _informative(values, _TOLD)
        if len(rows) < max(2, initial):
            means = np.nan_to_num(values, nan=-np.inf)
            rows = np.arange(len(values))
        else:
            x = features(np.array([state.archs[row] for row in rows]))
            told = process.condition(x, _targets(values[rows]), state.theta)
            means = process.mean(told, x, state.theta)
        return [state.archs[rows[i]] for i in np.argsort(-means, kind="stable")]

    return Strategy(init, ask, tell, expect, recommend=recommend)


def _alone(function: Callable[..., T]) -> Callable[..., T]:
    """Lets a function use one thread: for matrices as small as these, others cost more than they save."""

    @functools.wraps(function)
    def wrapped(*args):
        with _threads().limit(limits=1, user_api="blas"):
            return function(*args)

    return wrapped


@functools.cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def _informative(values: np.ndarray, most: int) -> np.ndarray:
    """Returns the positions of at most so many values that are numbers: the best and the latest."""
    rows = np.flatnonzero(np.isfinite(values))
    if len(rows) <= most:
        return rows
    best = rows[np.argsort(-values[rows], kind="stable")[: most // 2]]
    latest = np.setdiff1d(rows, best)[-(most - len(best)) :]
    return np.union1d(best, latest)


def _targets(values: np.ndarray) -> np.ndarray:
    """Scales values to mean 0 and deviation 1; those far below the median count as less far.

    Which hopeless network is worse is of no interest, and would make the process rough.
    """
    middle = np.median(values)
    values = np.maximum(values, middle - _BELOW * (values.max() - middle))
    return (values - values.mean()) / (values.std() + 1e-12)
