"""Counts for Prometheus, in its text format (https://prometheus.io/docs/instrumenting/exposition_formats)."""

from collections import Counter

_BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)


class Metrics:
    """Requests by path and status, how long they took, predictions by device, reloads of tables."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets: Counter[float] = Counter()
        self._seconds = 0.0
        self._predictions: Counter[str] = Counter()
        self._reloads: Counter[tuple[str, str]] = Counter()

    def request(self, path: str, status: int, seconds: float) -> None:
        """Counts an answer."""
        self._requests[path, status] += 1
        self._seconds += seconds
        self._buckets[next((bound for bound in _BOUNDS if seconds <= bound), float("inf"))] += 1

    def predicted(self, device: str, count: int) -> None:
        """Counts layers and networks that were predicted."""
        self._predictions[device] += count

    def reloaded(self, device: str, result: str) -> None:
        """Counts a table file that was replaced; `result` is `done` or `refused`."""
        self._reloads[device, result] += 1

    def text(self) -> str:
        """Returns all of them."""
        lines = ["# TYPE sparsenas_requests_total counter"]
        for (path, status), count in sorted(self._requests.items()):
            lines.append(f'sparsenas_requests_total{{path="{path}",status="{status}"}} {count}')
        lines.append("# TYPE sparsenas_request_seconds histogram")
        below = 0
        for bound in _BOUNDS:
            below += self._buckets[bound]
            lines.append(f'sparsenas_request_seconds_bucket{{le="{bound}"}} {below}')
        total = sum(self._requests.values())
        lines.append(f'sparsenas_request_seconds_bucket{{le="+Inf"}} {total}')
        lines.append(f"sparsenas_request_seconds_sum {self._seconds:.6f}")
        lines.append(f"sparsenas_request_seconds_count {total}")
        lines.append("# TYPE sparsenas_predictions_total counter")
        for device, count in sorted(self._predictions.items()):
            lines.append(f'sparsenas_predictions_total{{device="{_escaped(device)}"}} {count}')
        lines.append("# TYPE sparsenas_table_reloads_total counter")
        for (device, result), count in sorted(self._reloads.items()):
            lines.append(
                f'sparsenas_table_reloads_total{{device="{_escaped(device)}",result="{result}"}} {count}'
            )
        return "\n".join(lines) + "\n"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
