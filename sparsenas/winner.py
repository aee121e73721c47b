"""The winner of a search: checked against JAX, written, and what is said of it."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sparsenas import checkpoint, files, native, train
from sparsenas.baselines import FILE as BASELINES
from sparsenas.baselines import Baseline, write_baselines
from sparsenas.data import Data
from sparsenas.export.snas import to_bytes
from sparsenas.final import Final
from sparsenas.finalists import Measured, folded, variables_of
from sparsenas.latency.model import LatencyModel
from sparsenas.record import read_trainings
from sparsenas.report.run import BaselinePoint, Belief, Curve, Finalist, LayerTime, RunReport, TrialPoint
from sparsenas.report.summary import Summary
from sparsenas.run_folder import versions
from sparsenas.search_settings import SearchSettings
from sparsenas.space import Layer, Space
from sparsenas.strategies.beliefs import FILE as BELIEFS
from sparsenas.strategies.beliefs import Beliefs, read_beliefs
from sparsenas.strategies.collapse import warnings
from sparsenas.supernet import supernet


def conclude(
    settings: SearchSettings,
    space: Space,
    data: Data,
    table: LatencyModel,
    target_ms: float,
    final: Final,
    search_seconds: float,
    command: str,
    folder: Path,
) -> tuple[Summary, RunReport]:
    """Writes the winner's files and says what was found."""
    best, dense, trials, finalists = final.best, final.dense, final.trials, final.finalists
    arch = best.trained.candidate.arch
    fixed = best.trained.candidate.space(space)
    expected = train.logits(supernet(fixed), variables_of(fixed, best.trained), data.test.images)
    runtime = native.Model.from_bytes(best.model)
    found = runtime.run(data.test.images.astype(np.float32) / 255)
    if not np.array_equal(found.argmax(1), expected.argmax(1)):
        differing = int((found.argmax(1) != expected.argmax(1)).sum())
        raise RuntimeError(
            f"The native runtime and JAX disagree on {differing} of {len(found)} test images; this is a bug, "
            f"please report it with the folder {folder}."
        )
    dense_network = folded(space, dense, data.classes)
    dense_model = to_bytes(dense_network)
    dense_runtime = native.Model.from_bytes(dense_model)
    dense_logits = dense_runtime.run(data.test.images.astype(np.float32) / 255)

    files.write(folder / "best" / "model.snas", best.model)
    files.write(folder / "best" / "dense.snas", dense_model)
    files.write(
        folder / "best" / "arch.json",
        json.dumps(
            {"space": settings.space, "arch": space.text(arch), "options": space.describe(arch)}, indent=1
        )
        + "\n",
    )
    checkpoint.save(
        folder / "best" / "weights.safetensors", best.trained.arrays, about={"arch": space.text(arch)}
    )

    baselines = [_compared(name, space, one, data) for name, one in final.baselines.items()]
    if baselines:
        write_baselines(
            _compared("searched", space, best, data),
            baselines,
            target_ms,
            folder / BASELINES,
        )
    summary = Summary(
        dataset=settings.dataset,
        space=space.name,
        strategy=settings.strategy,
        device=table.device,
        seed=settings.seed,
        trials=len(trials),
        search_seconds=round(search_seconds, 2),
        arch=space.text(arch),
        accuracy=_accuracy(found, data.test.labels),
        dense_accuracy=_accuracy(dense_logits, data.test.labels),
        latency_ms_predicted=best.latency_ms_predicted,
        latency_ms_measured=best.latency_ms,
        dense_latency_ms_measured=best.dense_latency_ms,
        speedup=best.dense_latency_ms / best.latency_ms,
        target_latency_ms=target_ms,
        parity_max_abs_error=float(np.abs(found - expected).max()),
        file_bytes=len(best.model),
        dense_file_bytes=len(dense_model),
    )
    beliefs = read_beliefs(folder / BELIEFS) if (folder / BELIEFS).exists() else None
    report = RunReport(
        summary=summary,
        trials=tuple(
            TrialPoint(
                arch=trial.arch,
                options=space.describe(space.parse(trial.arch)),
                accuracy=trial.metrics["accuracy"],
                latency_ms=trial.metrics["latency_ms"],
                is_finalist=any(trial.arch == space.text(f.trained.candidate.arch) for f in finalists),
            )
            for trial in trials
            if "accuracy" in trial.metrics
        ),
        finalists=tuple(
            Finalist(
                name=space.text(finalist.trained.candidate.arch),
                accuracy=finalist.trained.accuracy,
                latency_ms_predicted=finalist.latency_ms_predicted,
                latency_ms_measured=finalist.latency_ms,
            )
            for finalist in finalists
        ),
        baselines=tuple(
            BaselinePoint(name=one.name, accuracy=one.accuracy, latency_ms_measured=one.latency_ms_measured)
            for one in baselines
        ),
        layers=_layer_times(settings, runtime, best.network.layers),
        dense_layers=_layer_times(settings, dense_runtime, dense_network.layers),
        machine=table.machine | {"pinned_core": (table.table.how.get("cores") or [None])[-1]},
        command=command,
        versions=versions(),
        beliefs=() if beliefs is None else _beliefs(beliefs),
        unit_of_beliefs="trials" if beliefs is None else beliefs.unit,
        warnings=() if beliefs is None else tuple(warnings(space, beliefs)),
        curves=_curves(folder),
    )
    return summary, report


def _beliefs(found: Beliefs) -> tuple[Belief, ...]:
    """Returns what the page shows of beliefs: those of choices that have something to choose."""
    return tuple(
        Belief(
            choice=choice,
            options=tuple(map(str, options)),
            at=found.at,
            probabilities=tuple(tuple(map(float, row)) for row in probabilities),
        )
        for choice, options, probabilities in zip(
            found.choices, found.options, found.probabilities, strict=True
        )
        if len(options) > 1 and found.at
    )


def _curves(folder: Path) -> tuple[Curve, ...]:
    """Returns the losses of the trainings of a run, the supernet's first."""
    trainings = sorted(read_trainings(folder).items(), key=lambda one: (one[0] != "supernet", one[0]))
    return tuple(
        Curve(
            name=f"{name}, loss",
            steps=tuple(step for step, _ in rows),
            values=tuple(numbers["loss"] for _, numbers in rows),
        )
        for name, rows in trainings
        if rows and all("loss" in numbers for _, numbers in rows)
    )


def _layer_times(
    settings: SearchSettings, model: native.Model, layers: Sequence[Layer]
) -> tuple[LayerTime, ...]:
    with native.pinned(settings.measure.core):
        us = np.median(model.profile(200), axis=0) * 1e6
    return tuple(
        LayerTime(
            name=layer.name,
            op=layer.op,
            shape=f"{layer.c_in}x{layer.c_out}@{layer.height}x{layer.width}",
            sparsity=layer.sparsity,
            kernel=record.kernel_name,
            us=float(time),
            pattern=layer.pattern.name,
            note=record.note,
        )
        for layer, record, time in zip(layers, model.layers, us, strict=True)
    )


def _compared(name: str, space: Space, one: Measured, data: Data) -> Baseline:
    images = data.test.images.astype(np.float32) / 255
    return Baseline(
        name=name,
        arch=space.text(one.trained.candidate.arch),
        accuracy=_accuracy(native.Model.from_bytes(one.model).run(images), data.test.labels),
        validation_accuracy=one.trained.accuracy,
        latency_ms_predicted=one.latency_ms_predicted,
        latency_ms_measured=one.latency_ms,
    )


def _accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float((logits.argmax(1) == labels).mean())
