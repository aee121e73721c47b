"""How far predictions are off what was measured."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from sparsenas.latency.model import LatencyModel
from sparsenas.latency.table import Measurement, NetworkMeasurement, Table


def checked(table: Table, *, threads: int = 1) -> Table:
    """Returns a table with its own error in it: what a model of it makes of what was held out."""
    model = LatencyModel.from_table(table, threads=threads)
    networks = [n for n in table.networks if n.role == "held_out" and n.threads == threads]
    layers = [m for m in table.held_out_layers if m.threads == threads]
    return replace(table, error=layer_errors(model, layers) | network_errors(model, networks))


def layer_errors(model: LatencyModel, measured: Sequence[Measurement]) -> dict[str, Any]:
    """Returns `layers`, `layer_median_error`, `layer_within_15_percent`; none without measurements."""
    if not measured:
        return {}
    errors = np.abs([model.layer_us(m.layer) / m.us - 1 for m in measured])
    return {
        "layers": len(measured),
        "layer_median_error": _rounded(np.median(errors)),
        "layer_within_15_percent": _rounded(np.mean(errors <= 0.15)),
    }


def network_errors(model: LatencyModel, measured: Sequence[NetworkMeasurement]) -> dict[str, Any]:
    """Returns `networks`, `mape`, `within_5_percent`, `within_10_percent` and `spearman`.

    Fractions, not percentages; `spearman` is the rank correlation, left out below three networks.
    """
    if not measured:
        return {}
    predicted = np.array([model.predict(n.layers) for n in measured])
    ms = np.array([n.us / 1e3 for n in measured])
    errors = np.abs(predicted / ms - 1)
    found = {
        "networks": len(measured),
        "mape": _rounded(errors.mean()),
        "within_5_percent": _rounded(np.mean(errors <= 0.05)),
        "within_10_percent": _rounded(np.mean(errors <= 0.1)),
    }
    return found | ({"spearman": _rounded(spearmanr(predicted, ms).statistic)} if len(measured) > 2 else {})


def _rounded(number: float) -> float:
    return round(float(number), 4)
