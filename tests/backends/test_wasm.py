"""WebAssembly kernels as devices: node and a real Chromium, where they are installed."""

import urllib.error
import urllib.request

import pytest

from sparsenas.backends.open import DeviceSettings, open_device
from sparsenas.backends.page import Page
from sparsenas.bench.node import find_node
from sparsenas.chromium import find_browser
from sparsenas.cross import repository
from sparsenas.errors import UserError
from sparsenas.latency import campaign
from sparsenas.latency.device import Lost
from tests.backends.conftest import DESIGN, LAYERS

MODULES = ("wasm/wasm/sparsenas.wasm", "wasm_relaxed/wasm/sparsenas_relaxed.wasm")


@pytest.fixture(autouse=True)
def modules():
    """Making them takes minutes where there is none; make test-wasm does."""
    for module in MODULES:
        if not (repository() / "build" / module).exists():
            pytest.skip(f"build/{module} is not built: make test-wasm")


def found(find):
    try:
        return find()
    except UserError as error:
        return pytest.skip(str(error))


@pytest.mark.parametrize("device", ["node", "browser"])
def test_layers_are_measured_there(device):
    found(find_node if device == "node" else find_browser)
    with open_device(device, DeviceSettings(isa="wasm128", busy=True)) as opened:
        table = campaign.run(DESIGN, opened)
    assert table.kind == "measured"
    assert table.machine["isa"] == "wasm128"
    assert table.build == opened.build
    assert [one.layer for one in table.layers] == list(LAYERS)
    assert [one.kernel for one in table.layers] == [
        "conv1x1_dense_wasm128", "conv1x1_unstructured_wasm128", "multiply_wasm128",
    ]  # fmt: skip


def test_browser_uses_the_best_kernels_that_it_can_run():
    found(find_browser)
    with open_device("browser", DeviceSettings(busy=True)) as opened:
        assert opened.machine["isa"] in ("wasm128", "wasm_relaxed")
        assert "Chrom" in opened.machine["cpu"]


@pytest.mark.parametrize("device", ["node", "browser"])
def test_device_that_dies_is_found_again(device):
    found(find_node if device == "node" else find_browser)
    killed = []

    def report(done, total, note):
        if not killed:
            killed.append(done)
            opened._process.kill()

    with open_device(device, DeviceSettings(isa="wasm128", busy=True)) as opened:
        table = campaign.run(DESIGN, opened, report=report, sleep=lambda seconds: None)
    assert killed
    assert len(table.layers) == len(LAYERS)


def test_page_answers_nobody_who_does_not_know_its_address():
    page = Page("wasm128")
    try:
        start = page.address.split("/")[2]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://{start}/turns_page.html")
        for path in ("../../../etc/passwd", "compile.mjs", "0.snas", "wasm_relaxed.wasm"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(page.address.replace("turns_page.html", path))
        with urllib.request.urlopen(page.address) as answer:
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert start.startswith("127.0.0.1:")
    finally:
        page.close()


def test_browser_that_ends_before_it_says_anything_is_lost():
    page = Page("wasm128")
    try:
        with pytest.raises(Lost, match="ended before it was done"):
            page.next("hello", lambda: False)
    finally:
        page.close()


def test_settings_for_other_devices_are_refused():
    with pytest.raises(UserError, match=r"are for ssh:// and adb://, not for 'node'"):
        open_device("node", DeviceSettings(emulator="qemu-aarch64"))
    with pytest.raises(UserError, match="one thread here, found --threads 2"):
        open_device("browser", DeviceSettings(), threads=2)
    with pytest.raises(UserError, match="Instruction sets of WebAssembly are wasm128 and wasm_relaxed"):
        open_device("node", DeviceSettings(isa="avx2"))
    with pytest.raises(UserError, match=r"Expected a device like local, ssh://.*found 'phone'"):
        open_device("phone", DeviceSettings())
