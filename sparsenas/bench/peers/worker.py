"""Runs one model in one engine, as told on standard input; a program that needs numpy and the engine only.

    python worker.py ENGINE MODEL THREADS

Messages are lines of JSON. First it says what it is, or what is wrong:

    {"version": "1.2"}        {"error": "..."}

Then it answers each line with one line, until its input ends:

    {"compute": "image.npy", "to": "outputs.npy"}   float32 [N, H, W, C] -> [N * outputs]         {}
    {"run": 20}                                     {"seconds": [...], "core_seconds": [...]}
    {"memory": true}                                {"peak_mb": 61.2}, null where it is unknown

Seconds are those of each run on these images, N of which the model is made for; core seconds are how long
it had a core, all threads together.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

Compute = Callable[[], np.ndarray]
"""Runs the model on the images that it was given."""
Engine = Callable[[str, int], Callable[[np.ndarray], Compute]]
"""Model file and threads -> images [N, H, W, C] -> what is timed."""


def sparsenas(path: str, threads: int) -> Callable[[np.ndarray], Compute]:
    from sparsenas import native

    return native.Model.open(path, threads=threads).prepared


def onnxruntime(path: str, threads: int) -> Callable[[np.ndarray], Compute]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (name,) = (tensor.name for tensor in session.get_inputs())

    def prepare(image: np.ndarray) -> Compute:
        given = {name: channels_first(image)}
        return lambda: session.run(None, given)[0]

    return prepare


def openvino(path: str, threads: int) -> Callable[[np.ndarray], Compute]:
    import openvino

    # Without the last hint it may compute in bfloat16 where the processor can.
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    request = compiled.create_infer_request()

    def prepare(image: np.ndarray) -> Compute:
        request.set_input_tensor(openvino.Tensor(channels_first(image)))

        def compute() -> np.ndarray:
            request.infer()
            return request.get_output_tensor().data

        return compute

    return prepare


def litert(path: str, threads: int) -> Callable[[np.ndarray], Compute]:
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(model_path=path, num_threads=threads)
    model.allocate_tensors()
    (given,), (answer,) = model.get_input_details(), model.get_output_details()

    def prepare(image: np.ndarray) -> Compute:
        if image.shape != tuple(given["shape"]):
            model.resize_tensor_input(given["index"], image.shape)
            model.allocate_tensors()
        model.set_tensor(given["index"], image)

        def compute() -> np.ndarray:
            model.invoke()
            return model.get_tensor(answer["index"])

        return compute

    return prepare


def deepsparse(path: str, threads: int) -> Callable[[np.ndarray], Compute]:
    # Otherwise it reports its use over the network, and moves to cores of its own choice.
    os.environ.update(NM_DISABLE_ANALYTICS="1", DO_NOT_TRACK="1", NM_BIND_THREADS_TO_CORES="0")
    from deepsparse import Engine

    engine = Engine(path, batch_size=1, num_cores=threads)

    def prepare(image: np.ndarray) -> Compute:
        nonlocal engine
        given = [channels_first(image)]
        if len(image) != engine.batch_size:
            engine = Engine(path, batch_size=len(image), num_cores=threads)
        return lambda: engine.run(given)[0]

    return prepare


# How each engine is loaded, and the distribution that says its version.
ENGINES: dict[str, tuple[Engine, str]] = {
    "sparsenas": (sparsenas, "sparsenas"),
    "onnxruntime": (onnxruntime, "onnxruntime"),
    "openvino": (openvino, "openvino"),
    "litert": (litert, "ai-edge-litert"),
    "deepsparse": (deepsparse, "deepsparse"),
}


def channels_first(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(0, 3, 1, 2))


def peak_mb() -> float | None:
    """Returns the most memory that this process has had, in 2^20 bytes."""
    # Not `getrusage`, which counts what the parent had before this program began.
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) / 1024 if lines else None


def answer(message: dict[str, Any], prepare: Callable, compute: list[Compute]) -> dict[str, Any]:
    """Does what a message says.

    Args:
        compute: what is timed, once there is an image; replaced by a new one.
    """
    if "compute" in message:
        compute[:] = [prepare(np.load(message["compute"], allow_pickle=False))]
        np.save(message["to"], np.asarray(compute[0](), np.float32).ravel(), allow_pickle=False)
        return {}
    if "run" in message:
        if not compute:
            raise ValueError("expected an image to compute before runs")
        clocks = [(time.perf_counter(), time.process_time())]
        for _ in range(message["run"]):
            compute[0]()
            clocks.append((time.perf_counter(), time.process_time()))
        seconds, core_seconds = np.diff(clocks, axis=0).T.tolist()
        return {"seconds": seconds, "core_seconds": core_seconds}
    if "memory" in message:
        return {"peak_mb": peak_mb()}
    raise ValueError(f"expected compute, run or memory, found {sorted(message)}")


def main(engine: str, path: str, threads: str) -> None:
    # Engines print on standard output what is no message of ours.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")

    def complaint(error: Exception) -> dict[str, str]:
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())}

    try:
        load, distribution = ENGINES[engine]
        prepare = load(path, int(threads))
        say({"version": version(distribution)})
    except Exception as error:
        say(complaint(error))
        return
    compute: list[Compute] = []
    for line in sys.stdin:
        try:
            say(answer(json.loads(line), prepare, compute))
        except Exception as error:
            say(complaint(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
