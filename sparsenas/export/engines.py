"""Exported files in the engines that they are for: outputs of images, channel by channel."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from sparsenas import __version__, native
from sparsenas.export.extra import optional_import

Engine = Callable[[Path, np.ndarray], np.ndarray]
"""`(file, images float32 [N, H, W, C]) -> float32 [N, outputs]`."""


def run_snas(path: Path, images: np.ndarray) -> np.ndarray:
    """The native runtime of this machine."""
    return native.Model.open(path).run(images)


def run_tflite(path: Path, images: np.ndarray) -> np.ndarray:
    """LiteRT, which takes one image at a time."""
    interpreter = optional_import("ai_edge_litert.interpreter", "ai-edge-litert").Interpreter
    model = interpreter(model_path=str(path), num_threads=1)
    model.allocate_tensors()
    (given,), (answer,) = model.get_input_details(), model.get_output_details()
    outputs = []
    for image in images:
        model.set_tensor(given["index"], image[None])
        model.invoke()
        outputs.append(_channels_first(model.get_tensor(answer["index"])))
    return np.concatenate(outputs)


def run_onnx(path: Path, images: np.ndarray) -> np.ndarray:
    """ONNX Runtime."""
    onnxruntime = optional_import("onnxruntime", "onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    (outputs,) = session.run(None, {given.name: np.ascontiguousarray(images.transpose(0, 3, 1, 2))})
    return outputs.reshape(len(images), -1)


def run_stablehlo(path: Path, images: np.ndarray) -> np.ndarray:
    """JAX, from the file alone."""
    from jax import export

    return np.asarray(export.deserialize(bytearray(path.read_bytes())).call(images))


def version_of(distribution: str) -> str:
    """Returns the version of an installed package; ours may run without being one."""
    return __version__ if distribution == "sparsenas" else version(distribution)


def _channels_first(outputs: np.ndarray) -> np.ndarray:
    return np.moveaxis(outputs, -1, 1).reshape(len(outputs), -1)
