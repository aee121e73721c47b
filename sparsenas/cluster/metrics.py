"""Counts of candidates for Prometheus, through the metrics of Ray."""

from ray.util.metrics import Counter, Gauge

from sparsenas.progress import Status


class Metrics:
    """What `ray` exports under the names `ray_sparsenas_...` on every node's metrics port."""

    def __init__(self) -> None:
        self._candidates = Gauge(
            "sparsenas_candidates", "Candidates of the search, by state.", tag_keys=("state",)
        )
        self._running = Gauge(
            "sparsenas_running", "Candidates that are worked on, by node.", tag_keys=("node",)
        )
        self._rate = Gauge("sparsenas_candidates_per_minute", "Candidates that finish.")
        self._attempts = Counter(
            "sparsenas_attempts_without_result", "Attempts that left no result, by how they ended.",
            tag_keys=("outcome",),
        )  # fmt: skip
        self._nodes: set[str] = set()

    def update(self, status: Status) -> None:
        """Sets all to what a status says."""
        states = {
            "queued": status.queued,
            "running": sum(status.running.values()),
            "done": sum(status.done.values()),
            "failed": status.failed,
        }
        for state, count in states.items():
            self._candidates.set(count, tags={"state": state})
        self._nodes |= set(status.running)
        for node in self._nodes:
            self._running.set(status.running.get(node, 0), tags={"node": node})
        self._rate.set(status.per_minute)

    def ended(self, outcome: str) -> None:
        """Counts an attempt without result."""
        self._attempts.inc(tags={"outcome": outcome.partition(":")[0]})
