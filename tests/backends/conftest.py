"""What tests of devices need: programs, and models that are measured in a moment."""

import platform
from dataclasses import replace

import pytest

from sparsenas import native
from sparsenas.cross import repository
from sparsenas.latency.design import Design, NamedNetwork
from sparsenas.latency.layer_text import parse_layer
from sparsenas.space import IMAGE

LAYERS = tuple(map(parse_layer, ("conv1x1 8x16@4", "conv1x1 16x8@4 sparsity=0.9", "multiply 8x8@4")))
DESIGN = Design(
    name="small",
    layers=LAYERS,
    networks=(NamedNetwork(name="one", layers=(replace(LAYERS[0], name="only", inputs=(IMAGE,)),)),),
    rounds=6,
)


def runner(folders):
    """Returns the device runner that a build of these sources made; skips the test where there is none."""
    build = native.build_id().encode()
    for folder in folders:
        path = repository() / "build" / folder / "tools" / "sparsenas-run"
        if path.exists() and build in path.read_bytes():
            return path
    return pytest.skip(
        f"sparsenas-run of these sources is not built in build/{' or build/'.join(folders)}: make test"
    )


@pytest.fixture(scope="session")
def program():
    """The device runner for this machine."""
    if platform.system() != "Linux":
        pytest.skip("The device runner that stands for a device's is a Linux program.")
    own = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
    return runner([own, "native"])


def assert_every_round_once(seen):
    """What a campaign told, pairs of visits made and of all, has every round once, whatever was lost."""
    total = seen[-1][1]
    assert seen == [(total * (i + 1) // DESIGN.rounds, total) for i in range(DESIGN.rounds)]
