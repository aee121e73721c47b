"""Accuracy and latency as one number; the only place that trades them."""

from collections.abc import Callable, Mapping

from sparsenas.objectives import Ratio

Formula = Callable[[float, float], float]
"""`(accuracy, latency_ms) -> reward`, larger is better."""

Reward = Callable[[Mapping[str, float]], float]
"""`(metrics) -> reward`, larger is better."""


def of_metrics(formula: Formula) -> Reward:
    """Returns a formula over the metrics `accuracy` and `latency_ms` of a trial."""
    return lambda metrics: formula(metrics.get("accuracy", 0.0), metrics["latency_ms"])


def of_ratio(formula: Formula, ratio: Ratio) -> Reward:
    """Returns a formula, made for the target 1, over accuracy and what cost is over its target.

    One network for several devices, as fast as where it is slowest:

    >>> from sparsenas.objectives import Objective, worst
    >>> limits = [Objective("latency_ms", target=2.0), Objective("latency_ms", target=8.0, device="phone")]
    >>> reward = of_ratio(tunas(1.0), worst(limits))
    >>> reward({"accuracy": 0.75, "latency_ms": 1.0, "latency_ms@phone": 9.6})
    0.73

    What missed a limit and was not evaluated counts as accuracy 0.
    """
    return lambda metrics: formula(metrics.get("accuracy", 0.0), ratio(metrics))


def mnasnet(target_ms: float, *, below: float = -0.07, above: float = -0.07) -> Formula:
    """Accuracy times a power of the latency ratio (Tan et al., 2019, https://arxiv.org/abs/1807.11626).

        accuracy * (latency / target) ** w,    w = below if latency <= target else above

    Equal exponents make a soft constraint: twice the latency pays for about 5% more accuracy. The hard
    constraint is `below=0, above=-1`.

    >>> round(mnasnet(10.0)(0.75, 20.0), 3)
    0.714
    """

    def reward(accuracy: float, latency_ms: float) -> float:
        ratio = latency_ms / target_ms
        return accuracy * ratio ** (below if ratio <= 1 else above)

    return reward


def tunas(target_ms: float, *, beta: float = -0.10) -> Formula:
    """Accuracy less a penalty on both sides (Bender et al., 2020, https://arxiv.org/abs/2008.06120).

        accuracy + beta * |latency / target - 1|

    The kink holds a search at the target, so that one run lands there.

    >>> tunas(10.0)(0.75, 12.0)
    0.73
    """

    def reward(accuracy: float, latency_ms: float) -> float:
        return accuracy + beta * abs(latency_ms / target_ms - 1)

    return reward


def within(target_ms: float) -> Formula:
    """Accuracy where the target is met; what misses it is worse than everything that does not, by how much.

    >>> within(10.0)(0.75, 8.0), within(10.0)(0.99, 15.0)
    (0.75, -0.5)
    """

    def reward(accuracy: float, latency_ms: float) -> float:
        return accuracy if latency_ms <= target_ms else 1 - latency_ms / target_ms

    return reward
