"""The exported page in a real Chromium."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from sparsenas import files
from sparsenas.chromium import find_browser
from sparsenas.cli.lookup import known_spaces
from sparsenas.cross import repository
from sparsenas.errors import UserError
from sparsenas.export.network import normalized, random_network, reference
from sparsenas.export.snas import to_bytes
from sparsenas.export.web import ISAS, dense_twin, run_web, to_web
from sparsenas.networks.catalog import REFERENCES
from sparsenas.networks.net import Net
from sparsenas.networks.pruning import uniform
from sparsenas.space import IMAGE
from sparsenas.visit import Site, visit
from tests.export.test_every_space import ARCHITECTURES, networks

DIGITS = [str(i) for i in range(10)]


def digit_network():
    layers = REFERENCES["mobilenet_v1"].layers(width=0.25, side=16, classes=10, rule=uniform(0.9))
    images = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    return normalized(random_network(layers, seed=0, classes=DIGITS), images), images


def test_a_dense_twin_has_the_same_layers_and_no_zeros():
    network, images = digit_network()
    twin = dense_twin(network)
    assert [layer.dense() for layer in network.layers] == list(twin.layers)
    assert all(one is None or one.weight.all() for one in twin.weights)
    assert np.isfinite(reference(twin, images)).all()


@pytest.fixture(scope="module")
def runtimes():
    """Making them takes minutes where there is none; make test-wasm does."""
    for isa in ISAS:
        if not (repository() / "build" / "wasm" / "wasm" / "web" / f"sparsenas_{isa}.wasm").exists():
            pytest.skip("the runtimes for pages are not built: make test-wasm")
    try:
        find_browser()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def folder(runtimes, tmp_path_factory):
    network, _ = digit_network()
    path = tmp_path_factory.mktemp("page") / "site"
    files.write_folder(path, to_web(network))
    return path


def test_what_a_visitor_loads_is_small(folder):
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.suffix != ".snas"}
    runtime = [size for name, size in sizes.items() if name.endswith(".wasmz")]
    assert len(runtime) == len(ISAS)
    assert sum(sizes.values()) - sum(runtime) + max(runtime) < 150_000


def test_every_space_runs_there(folder):
    """In the best runtime; the first network of each space in all of them."""
    script = """
    import { SparseNAS } from "./sparsenas.js";
    export async function run(report) {
      const isas = ISAS.slice(ISAS.indexOf(SparseNAS.isa()));
      const outputs = [];
      for (const { name, thorough } of await (await fetch("models.json")).json()) {
        await report(outputs.length, 0, name);
        const image = new Float32Array(await (await fetch(`${name}.f32`)).arrayBuffer());
        for (const isa of thorough ? isas : isas.slice(0, 1)) {
          const model = await SparseNAS.load(`${name}.snas`, { isa });
          const values = Array.from(model.run(image));
          model.input.set(image);
          outputs.push({ name, isa, values, again: Array.from(model.run(model.input)) });
        }
      }
      return JSON.stringify(outputs);
    }""".replace("ISAS", json.dumps(ISAS))
    made = {
        f"{space}-{i}": one
        for space in known_spaces()
        for i, one in enumerate(networks(space, ARCHITECTURES))
    }
    more = {f"{name}.snas": to_bytes(network) for name, (network, _) in made.items()}
    more |= {f"{name}.f32": image.tobytes() for name, (_, image) in made.items()}
    models = [{"name": name, "thorough": name.endswith("-0")} for name in made]
    more["models.json"] = json.dumps(models).encode()
    found = json.loads(visit(script, folder=folder, more=more))
    assert {one["name"] for one in found} == made.keys()
    assert {one["isa"] for one in found} == set(ISAS)
    for one in found:
        expected = reference(*made[one["name"]])[0]
        # Single precision through up to 100 layers, in another order of additions.
        np.testing.assert_allclose(one["values"], expected, atol=5e-5 * np.abs(expected).max(), rtol=0)
        assert one["again"] == one["values"]


def test_the_exported_folder_computes_the_same(folder):
    network, images = digit_network()
    np.testing.assert_allclose(run_web(folder, images), reference(network, images), atol=1e-4, rtol=0)


def test_nothing_in_the_folder_names_another_place(folder):
    texts = [path.read_text() for path in folder.iterdir() if path.suffix in (".html", ".js", ".css")]
    assert len(texts) == 5
    # Names of formats are no places.
    assert not [text for text in texts if "://" in text.replace("http://www.w3.org/", "")]


def test_models_that_read_planes_run_there(folder, tmp_path):
    net = Net(side=6, rule=uniform(0.5))
    net.add("mix", "conv1x1", IMAGE, 4)
    network = random_network(net.layers, seed=0)
    script = """
    import { SparseNAS } from "./sparsenas.js";
    export async function run() {
      const model = await SparseNAS.load(await fetch("planes.snas"));
      const image = new Float32Array(await (await fetch("images.f32")).arrayBuffer());
      return model.run(image);
    }"""
    image = np.random.default_rng(0).random((1, 6, 6, 3), np.float32)
    data = visit(
        script, folder=folder, more={"planes.snas": to_bytes(network), "images.f32": image.tobytes()}
    )
    np.testing.assert_allclose(np.frombuffer(data, "<f4"), reference(network, image)[0], atol=1e-5)


def test_the_module_says_what_is_wrong(folder):
    script = """
    import { SparseNAS } from "./sparsenas.js";
    const said = async (work) => {
      try { return await work(); } catch (error) { return error.message; }
    };
    export async function run() {
      const model = await SparseNAS.load("model.snas", { isa: "scalar" });
      return [
        await said(() => SparseNAS.load("none.snas")),
        await said(() => SparseNAS.load("page.css")),
        await said(() => model.run(new Float32Array(5))),
        model.classify(new ImageData(40, 30), { top: 2 }).length,
        Array.from(model.profile(3)).length === model.layers.length,
        model.isa,
      ].join("|");
    }"""
    none, bad, length, classes, profiled, isa = visit(script, folder=folder).decode().split("|")
    assert "none.snas: the server says 404" in none
    assert "magic: expected" in bad
    assert length == "Expected an image of 768 numbers, found 5."
    assert (classes, profiled, isa) == ("2", "true", "scalar")


def test_a_drawing_is_classified_and_both_are_measured(folder):
    sync = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with Site(folder) as site, sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        papers = {}
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 800})
            said, asked = [], []
            page.on("console", lambda message, said=said: said.append(message.text))
            page.on("pageerror", lambda error, said=said: said.append(str(error)))
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto(site.address)
            page.wait_for_selector("html[data-ready]")
            box = page.locator("#canvas").bounding_box()
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 4
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move(x, y + box["height"] / 2, steps=4)
            page.mouse.up()
            assert page.locator("#classes li").count() == 5
            page.wait_for_selector("html[data-measured=both]")
            assert "x" in page.inner_text("#speed")
            assert page.locator("#layers tr").count() == 29
            # Nothing is wider than a phone, nothing comes from elsewhere, nothing is complained of.
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            assert all(address.startswith(site.address) for address in asked)
            assert said == []
            papers[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
            page.close()
        browser.close()
    assert papers["light"] != papers["dark"]


def test_a_folder_without_classes_or_twin_still_works(folder, tmp_path):
    sync = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    place = tmp_path / "site"
    shutil.copytree(folder, place)
    network, _ = digit_network()
    files.write(place / "model.snas", to_bytes(replace(network, classes=())))
    (place / "dense.snas").unlink()
    with Site(place) as site, sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(site.address)
        page.wait_for_selector("html[data-measured=one]")
        assert "no dense twin" in page.inner_text("#beside")
        assert page.inner_text("#give") == "Give it a picture"
        page.set_input_files("#file", {"name": "x.txt", "mimeType": "text/plain", "buffer": b"text"})
        page.wait_for_function("document.getElementById('hint').textContent === 'That is no picture'")
        browser.close()
