"""Accuracy and latency as one number; the only place that trades them."""

from collections.abc import Callable, Mapping

Formula = Callable[[float, float], float]
"""`(accuracy, latency_ms) -> reward`, larger is better."""

Reward = Callable[[Mapping[str, float]], float]
"""`(metrics) -> reward`, larger is better."""


def of_metrics(formula: Formula) -> Reward:
    """Returns a formula over the metrics `accuracy` and `latency_ms` of a trial."""
    return lambda metrics: formula(metrics["accuracy"], metrics["latency_ms"])


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
