"""A network in the browser: our exported page beside LiteRT.js, with the same weights, in turns.

Both run one image at a time on one core of a real Chromium, an image that is in their own memory. A time is
the median over rounds of the median of a visit, a ratio the median over rounds of theirs over ours.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sparsenas import __version__, files, native
from sparsenas.bench.machine import cores_of
from sparsenas.chromium import OPTIMISED_LAZILY
from sparsenas.cross import repository, run, tool
from sparsenas.errors import UserError
from sparsenas.export.network import normalized, random_network, reference
from sparsenas.export.snas import to_bytes
from sparsenas.export.tflite import to_tflite
from sparsenas.export.web import MODEL, to_web
from sparsenas.networks.catalog import REFERENCES
from sparsenas.networks.pruning import uniform
from sparsenas.progress import Update
from sparsenas.visit import visit

SPARSITIES = (0.0, 0.8, 0.9)
OURS, PEER = "sparsenas", "litert_js"
PACKAGE, PACKAGE_VERSION = "@litertjs/core", "2.5.3"
# An engine whose outputs differ by more, relative to the largest one, is not timed.
TOLERANCE = 1e-3

# Without a word from the page: compiling LiteRT.js, or a round.
_PATIENCE_SECONDS = 300

_SCRIPT, _FIRST = (Path(__file__).with_name(name) for name in ("web.js", "web_first.js"))


@dataclass(frozen=True, kw_only=True)
class WebRecord:
    """A network in an engine in the browser.

    Attributes:
        ms: of one image.
        max_abs_difference: of an output from a plain computation in double precision, over the largest one.
    """

    network: str
    sparsity: float
    engine: str
    engine_version: str
    ms: float
    max_abs_difference: float


def fetch_peer() -> tuple[Path, str]:
    """Returns the folder of LiteRT.js' packages, which npm fetches where they are missing, and its version.

    Raises:
        UserError: where npm is missing or fails.
    """
    folder = repository() / "build" / "npm"
    described = folder / "node_modules" / PACKAGE / "package.json"
    if not described.is_file():
        npm = tool("npm", "install node 20 or newer, https://nodejs.org (Debian: apt install npm)")
        folder.mkdir(parents=True, exist_ok=True)
        wanted = f"{PACKAGE}@{PACKAGE_VERSION}"
        run([npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", wanted])
    return folder / "node_modules", json.loads(described.read_text())["version"]


def bench_web(
    *,
    network: str = "mobilenet_v1",
    sparsities: Sequence[float] = SPARSITIES,
    peers: bool = True,
    core: int | None = None,
    rounds: int = 15,
    visit_ms: float = 100.0,
    loads: int = 5,
    report: Update = lambda done, total, note: None,
    note: Callable[[str], None] = lambda line: None,
    **settings: float,
) -> dict:
    """Measures a network at some fractions of zeros.

    Args:
        network: a reference network; its weights are random.
        peers: whether LiteRT.js takes part.
        core: the one that the browser runs on; the last one where left out.
        visit_ms: how long an engine runs at each of its turns.
        loads: how often the page is loaded, each time in a new browser.
        report: is told how far it is.
        note: is told of an engine that computes something else, which is left out.
        settings: of the network, such as `width` and `side`.

    Returns:
        What the JSON file holds. `first_result_ms` is from when the page begins to load from a server on
        this machine, the median over loads.

    Raises:
        UserError: where Chromium, npm or a compiler is missing.
    """
    made = REFERENCES[network]
    cores = cores_of(1, core)
    networks = {}
    for done, sparsity in enumerate(sparsities):
        report(done, len(sparsities), f"network of {sparsity:.0%} zeros")
        layers = made.layers(rule=uniform(sparsity), **settings) if sparsity else made.layers(**settings)
        images = np.random.default_rng(0).random((2, layers[0].height, layers[0].width, 3), np.float32)
        networks[sparsity] = normalized(random_network(layers, seed=0), images)
    image = images[:1]
    expected = {f"{sparsity:g}": reference(one, image)[0] for sparsity, one in networks.items()}
    more = {"image.f32": image.tobytes()}
    more |= {f"{sparsity:g}.snas": to_bytes(one) for sparsity, one in networks.items()}
    folders, versions = {}, {OURS: __version__}
    if peers:
        folders["npm"], versions[PEER] = fetch_peer()
        index = (folders["npm"] / PACKAGE / "dist" / "index.js").read_text()
        # Pages know no packages by name.
        bare, place = '"@litertjs/wasm-utils"', '"./npm/@litertjs/wasm-utils/dist/index.js"'
        more["litert.js"] = index.replace(bare, place).encode()
        more |= {f"{sparsity:g}.tflite": to_tflite(one) for sparsity, one in networks.items()}
    work = {"names": list(expected), "peers": peers, "rounds": rounds, "visitMs": visit_ms}
    more["work.json"] = json.dumps(work).encode()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        page = to_web(networks[max(networks)])
        files.write_folder(folder, page)
        first = []
        for load in range(loads):
            report(load, loads, "first result of the page")
            # In a browser as people have it.
            first.append(float(visit(_FIRST.read_text(), folder=folder, cores=cores)))
        said = visit(
            _SCRIPT.read_text(),
            folder=folder,
            more=more,
            folders=folders,
            cores=cores,
            options=[OPTIMISED_LAZILY],
            within_seconds=_PATIENCE_SECONDS,
            report=report,
        )
    found = json.loads(said)
    records, visits = [], {}
    for one in found["records"]:
        wanted = expected[one["name"]]
        outputs = np.array(one["outputs"])
        worst = float(np.abs(outputs - wanted).max() / np.abs(wanted).max())
        if not worst <= TOLERANCE:
            why = f"computes something else at {one['name']} zeros ({worst:.1e})"
            note(f"{one['engine']} {why}, it is left out")
            continue
        record = WebRecord(
            network=network,
            sparsity=float(one["name"]),
            engine=one["engine"],
            engine_version=versions[one["engine"]],
            ms=one["ms"],
            max_abs_difference=worst,
        )
        records.append(asdict(record))
        visits[record.sparsity, record.engine] = np.array(one["visits"])
    agent = next((word for word in found["agent"].split() if "Chrom" in word), found["agent"])
    machine = native.cpu()
    machine |= {"cpu": f"{machine['cpu']}, {agent}", "isa": found["records"][0]["isa"]}
    if not records:
        raise UserError("No engine computes what the weights mean; nothing was measured.")
    return {
        "machine": machine,
        "version": __version__,
        "first_result_ms": float(np.median(first)),
        "page_bytes": sum(len(data) for name, data in page.items() if not name.endswith(".snas")),
        "model_bytes": len(page[MODEL]),
        "records": records,
        "ratios": [
            {"sparsity": sparsity, "ratio": float(np.median(visits[sparsity, PEER] / visits[sparsity, OURS]))}
            for sparsity in sorted(networks)
            if (sparsity, OURS) in visits and (sparsity, PEER) in visits
        ],
    }
