"""Trains one network in one library, as told on standard input; needs numpy and the library only.

    python trainer.py LIBRARY NETWORK.json THREADS

The file has the `layers` in the order they run, the `classes`, the `batch` and the steps of a `visit`.
Messages are lines of JSON. First it says what it is, or what is wrong:

    {"version": "1.2"}        {"error": "..."}

Then it answers each line with one line, until its input ends:

    {"step": true}       {"ms": 61.2}, of a training step: the mean of a visit, or of as many as there is time
    {"forward": true}    {"ms": 12.3}, of the pass to the loss as training runs it
    {"gradient": true}   {"ms": 50.1}, of that and the pass back to the weights
    {"primitive": "depthwise", "shape": [128, 16, 16, 96], "out": 96, "stride": 1}
                         {"forward": 1.2, "gradient": 3.4}, milliseconds
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

Ask = Callable[[dict[str, Any]], dict[str, Any]]
"""Gives an answer and returns the next message."""

# A time is the median of so many; one before them does not count.
TIMINGS = 7
# On a slow machine there are fewer, so that all take about this long.
_MOST_SECONDS = 10.0


def timed(
    run: Callable[[], Any], *, most: int = TIMINGS, of: Callable[[list[float]], float] = median
) -> float:
    """Returns the milliseconds of a run: the median, or what else is asked for, of one or more timings."""
    run()
    found: list[float] = []
    while len(found) < most and sum(found) < _MOST_SECONDS:
        started = time.perf_counter()
        run()
        found.append(time.perf_counter() - started)
    return 1e3 * of(found)


def sparsenas(network: dict[str, Any], threads: int, ask: Ask) -> None:
    from sparsenas.bench import trained

    trained.serve(network, ask)


def torch(network: dict[str, Any], threads: int, ask: Ask) -> None:
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net = _torch_network(network["layers"]).to(memory_format=torch.channels_last).train()
    first = network["layers"][0]
    x = torch.rand(network["batch"], first["c_in"], first["height"], first["width"])
    x = x.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(network["classes"], (network["batch"],))
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2, fused=True)

    def forward() -> torch.Tensor:
        return criterion(net(x), labels)

    def gradient() -> None:
        optimizer.zero_grad(set_to_none=True)
        forward().backward()

    def step() -> None:
        gradient()
        optimizer.step()

    message = ask({"version": torch.__version__})
    while True:
        if "step" in message:
            answer = {"ms": timed(step, most=network["visit"], of=mean)}
        elif "primitive" in message:
            answer = _torch_primitive(message)
        else:
            answer = {"ms": timed(forward if "forward" in message else gradient)}
        message = ask(answer)


def _torch_network(layers: list[dict[str, Any]]) -> Any:
    from torch import nn

    activations = {"none": nn.Identity, "relu": nn.ReLU, "relu6": nn.ReLU6}

    def module(layer: dict) -> nn.Module:
        c_in, c_out, k = layer["c_in"], layer["c_out"], layer["kernel"]
        if layer["op"] == "fully_connected":
            return nn.Linear(c_in, c_out)
        if layer["op"] not in ("conv_hwc", "conv1x1", "depthwise"):
            return nn.Identity()
        groups = c_in if layer["op"] == "depthwise" else 1
        settings = {"stride": layer["stride"], "padding": k // 2, "groups": groups, "bias": False}
        convolution = nn.Conv2d(c_in, c_out, k, **settings)
        return nn.Sequential(convolution, nn.BatchNorm2d(c_out), activations[layer["activation"]]())

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.modules_of_layers = nn.ModuleList(map(module, layers))

        def forward(self, x: Any) -> Any:
            outputs = [x]  # That of layer i at i + 1.
            for layer, compute in zip(layers, self.modules_of_layers, strict=True):
                x = outputs[layer["inputs"][0] + 1]
                match layer["op"]:
                    case "add":
                        outputs.append(x + outputs[layer["inputs"][1] + 1])
                    case "global_average_pool":
                        outputs.append(x.mean((2, 3)))
                    case _:
                        outputs.append(compute(x))
            return outputs[-1]

    return Network()


def _torch_primitive(message: dict[str, Any]) -> dict[str, float]:
    import torch
    from torch.nn import functional

    (n, h, w, c), d, stride = message["shape"], message["out"], message["stride"]

    def tensor(*shape: int) -> torch.Tensor:
        return torch.randn(*shape).contiguous(memory_format=torch.channels_last)

    x = tensor(n, c, h, w)
    # The first layer's input is an image, which needs no gradient.
    x.requires_grad_(message["primitive"] != "convolution")
    k, groups = (1, 1) if message["primitive"] == "pointwise" else (3, c)
    groups = groups if message["primitive"] == "depthwise" else 1
    weight = tensor(d, c // groups, k, k).requires_grad_()
    norm = torch.nn.BatchNorm2d(c)

    def compute() -> torch.Tensor:
        if message["primitive"] == "batch_norm":
            return functional.relu6(norm(x))
        return functional.conv2d(x, weight, stride=stride, padding=k // 2, groups=groups)

    y = compute()
    g = torch.randn_like(y)
    return {"forward": timed(compute), "gradient": timed(lambda: y.backward(g, retain_graph=True))}


LIBRARIES: dict[str, Callable[[dict[str, Any], int, Ask], None]] = {"sparsenas": sparsenas, "torch": torch}


def main(library: str, path: str, threads: str) -> None:
    # Libraries print on standard output what is no message of ours.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")

    def ask(answer: dict[str, Any]) -> dict[str, Any]:
        say(answer)
        line = sys.stdin.readline()
        if not line:
            sys.exit()
        return json.loads(line)

    try:
        LIBRARIES[library](json.loads(Path(path).read_text()), int(threads), ask)
    except Exception as error:
        say({"error": " ".join(f"{type(error).__name__}: {error}".split())})


if __name__ == "__main__":
    main(*sys.argv[1:])
