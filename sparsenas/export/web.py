"""A page that runs the network, a folder for any static server; nothing is loaded from elsewhere.

The runtimes are compressed (gzip) in a way that does not depend on the server, and the browser gets one of
them; `sparsenas.d.ts` in the folder describes the module that pages of one's own use.
"""

import gzip
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from sparsenas import native
from sparsenas.cross import built, repository
from sparsenas.export.network import LayerWeights, Network
from sparsenas.export.snas import to_bytes
from sparsenas.look import PAGE_CSS
from sparsenas.visit import visit

ISAS = ("wasm_relaxed", "wasm128", "scalar")
MODEL, DENSE = "model.snas", "dense.snas"

# The outputs of every runtime that the engine has, one after the other.
_CHECK = """
import {{ SparseNAS }} from "./sparsenas.js";

export async function run() {{
  const images = new Float32Array(await (await fetch("images.f32")).arrayBuffer());
  const isas = {isas};
  const outputs = [];
  for (const isa of isas.slice(isas.indexOf(SparseNAS.isa()))) {{
    const model = await SparseNAS.load("{model}", {{ isa }});
    const size = model.height * model.width * model.channels;
    for (let i = 0; i < images.length; i += size) outputs.push(model.run(images.subarray(i, i + size)));
  }}
  return new Blob(outputs);
}}
"""


def to_web(network: Network, dense: Network | None = None, *, float16: bool = False) -> dict[str, bytes]:
    """Returns the files of the folder by name.

    Args:
        dense: the twin to compare with; made where left out (`dense_twin`).
        float16: weights of half precision (`sparsenas.export.snas`).

    Raises:
        UserError: where a tool is missing that compiles the runtimes, or there is no checkout to do it in.
    """
    scripts = repository() / "native" / "wasm"
    runtimes = built("wasm", "sparsenas_web") / "wasm" / "web"
    files = {path.name: path.read_bytes() for path in sorted((scripts / "page").iterdir())}
    files["page.css"] = PAGE_CSS.encode() + files["page.css"]
    files["runtime.js"] = (scripts / "sparsenas.mjs").read_bytes()
    for isa in ISAS:
        data = (runtimes / f"sparsenas_{isa}.wasm").read_bytes()
        # Without the time, so that the same runtime is the same file.
        files[f"sparsenas_{isa}.wasmz"] = gzip.compress(data, 9, mtime=0)
    files[MODEL] = to_bytes(network, float16=float16)
    files[DENSE] = to_bytes(dense_twin(network) if dense is None else dense, float16=float16)
    return files


def dense_twin(network: Network) -> Network:
    """Returns the same network with numbers in the place of the zeros.

    They are small, so that its outputs are finite and look alike; it is for measuring time.
    """
    rng = np.random.default_rng(0)
    weights = []
    for one in network.weights:
        if one is None:
            weights.append(None)
            continue
        spread = float(np.abs(one.weight).mean()) / math.sqrt(max(1, one.weight[0].size))
        filling = rng.uniform(0.5, 1, one.weight.shape) * rng.choice((-1, 1), one.weight.shape)
        full = np.where(one.weight == 0, np.float32(max(spread, 1e-12)) * filling, one.weight)
        weights.append(LayerWeights(full.astype(np.float32), one.bias))
    return replace(network, layers=tuple(layer.dense() for layer in network.layers), weights=tuple(weights))


def run_web(folder: Path, images: np.ndarray) -> np.ndarray:
    """Runs the model of a folder in Chromium, with every runtime that it can run.

    Args:
        images: float32 [N, H, W, C].

    Returns:
        float32 [N, outputs] of the runtime that is furthest from the best one.

    Raises:
        UserError: where there is no Chromium, or what goes wrong in it.
    """
    script = _CHECK.format(isas=json.dumps(ISAS), model=MODEL)
    data = visit(script, folder=folder, more={"images.f32": images.astype("<f4").tobytes()})
    outputs = native.Model.open(folder / MODEL).outputs
    runtimes = np.frombuffer(data, "<f4").reshape(-1, len(images), outputs)
    return max(runtimes, key=lambda one: float(np.abs(one - runtimes[0]).max(initial=0)))
