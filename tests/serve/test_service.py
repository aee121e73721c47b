"""A real uvicorn on loopback, asked over real connections."""

import contextlib
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from sparsenas.cli.lookup import find_space
from sparsenas.errors import UserError
from sparsenas.latency import Client
from sparsenas.latency.layer_text import describe
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.table import load, save
from sparsenas.serve.app import make_app
from sparsenas.serve.listen import listen
from sparsenas.serve.schema import MOST_BODY_BYTES, MOST_LAYERS, MOST_NETWORKS
from sparsenas.serve.served import open_devices
from tests.latency.made_up import table_of_mobilenets, table_of_space

SPACE = find_space("tiny")
LAYER = "conv1x1 64x128@12 sparsity=0.9 block=4"
TOKEN = "a-token-of-enough-letters"


@contextlib.contextmanager
def serving(*tables: Path, token: str | None = None) -> Iterator[str]:
    """Runs the service in a thread and yields its address."""
    app = make_app(open_devices([str(path) for path in tables], threads=1), {"tiny": SPACE}, token=token)
    with listen("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", limit_concurrency=64))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tables")
    save(table_of_space(SPACE), folder / "one.json")
    save(replace(table_of_mobilenets(), device="two"), folder / "two.json")
    return folder / "one.json", folder / "two.json"


@pytest.fixture(scope="module")
def url(tables) -> Iterator[str]:
    with serving(*tables) as url:
        yield url


def ask(
    url: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def post(url: str, question, **headers: str) -> tuple[int, dict]:
    body = question if isinstance(question, bytes) else json.dumps(question).encode()
    status, text = ask(url, "POST", "/v1/latency", body, headers)
    return status, json.loads(text)


def test_a_client_gets_what_the_model_says(url, tables):
    model = LatencyModel.from_table(load(tables[0]))
    client = Client(url, device="one")
    arch = SPACE.text(SPACE.largest)
    expected = model.predict(SPACE.largest, SPACE)
    assert client.predict(arch, space="tiny") == expected
    found = client.predict([describe(layer) for layer in SPACE.layers(SPACE.largest)])
    assert (found, found.low_ms, found.high_ms, found.notes) == (
        expected, expected.low_ms, expected.high_ms, expected.notes,
    )  # fmt: skip
    layer = SPACE.layers(SPACE.largest)[1]
    assert client.layer(describe(layer)) == model.layer(layer)
    assert [device["device"] for device in client.devices()] == ["one", "two"]
    client.close()


def test_batches_are_answered_in_order(url, tables):
    model = LatencyModel.from_table(load(tables[1]))
    texts = [f"conv1x1 {8 * i}x64@12 sparsity=0.9" for i in range(1, 12)]
    client = Client(url, device="two")
    assert [one.us for one in client.layers(texts)] == [
        model.layer_us(layer) for layer in map(_parsed, texts)
    ]
    networks = [[text] for text in texts] * 20  # Enough to be answered beside others.
    assert client.predict_all(networks)[:11] == [model.predict([_parsed(text)]) for text in texts]
    client.close()


def _parsed(text: str):
    from sparsenas.latency.layer_text import parse_layer

    return parse_layer(text)


def test_extrapolation_is_said(url):
    with Client(url, device="two") as client:
        found = client.layer("conv1x1 64x40000@12")
    assert any("output channels 40000" in reason for reason in found.outside)


@pytest.mark.parametrize(
    ("question", "status", "says"),
    [
        (b"", 422, "EOF"),
        (b"{", 422, "EOF"),
        (b"\xff\xfe", 422, "."),
        (b'{"layers": ["\\ud800"]}', 422, "."),
        (b"[" * 10_000, 422, "."),
        ([], 422, "."),
        ({"device": "one", "layer": [LAYER]}, 422, "`layer`: Extra inputs"),
        ({"device": "one", "layers": LAYER}, 422, "`layers`: .* array"),
        ({"device": "one", "layers": [7]}, 422, "`layers.0`: .* string"),
        ({"device": "one", "layers": ["x" * 300]}, 422, "at most 200 characters"),
        ({"device": "one", "layers": [LAYER] * (MOST_LAYERS + 1)}, 422, f"at most {MOST_LAYERS} items"),
        ({"device": "one", "networks": [[]]}, 422, "at least 1 item"),
        ({"device": "one", "networks": [[LAYER]] * (MOST_NETWORKS + 1)}, 422, f"at most {MOST_NETWORKS}"),
        ({"device": "one", "layers": ["conv1x1 8x8"]}, 422, "A layer is written like"),
        ({"device": "one", "layers": ["conv 8x8@9 kernel=3"]}, 422, "no measurement of any conv"),
        ({"device": "one", "space": "tiny", "architectures": ["0-1"]}, 422, "14 option indices, found 2"),
        ({"device": "one", "space": "tiny", "architectures": ["9" * 900]}, 422, "found 1"),
        ({"device": "one", "architectures": ["0-1"]}, 404, "one of the spaces tiny; found no `space`"),
        ({"device": "one", "space": "/etc/passwd", "architectures": ["0"]}, 404, "one of the spaces tiny"),
        ({"layers": [LAYER]}, 404, "`device`, one of one, two; found none"),
        ({"device": "../two.json", "layers": [LAYER]}, 404, "found '../two.json'"),
        (b" " * (MOST_BODY_BYTES + 1), 413, f"at most {MOST_BODY_BYTES} bytes"),
    ],
)
def test_bad_questions_get_one_line(url, question, status, says):
    found, answer = post(url, question)
    assert (found, list(answer)) == (status, ["error"])
    assert re.search(says, answer["error"])
    assert "\n" not in answer["error"]
    assert "Traceback" not in answer["error"]


def test_a_body_without_a_length_is_limited_too(url):
    def parts():
        for _ in range(20):
            yield b" " * (MOST_BODY_BYTES // 10)

    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    with contextlib.closing(connection), contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request(
            "POST", "/v1/latency", parts(), {"Transfer-Encoding": "chunked"}, encode_chunked=True
        )
        assert connection.getresponse().status == 413


def test_no_path_of_a_request_is_a_file(url):
    for path in ("/../one.json", "/one.json", "//etc/passwd", "/v1/latency/../../one.json", "/docs/x"):
        status, text = ask(url, "GET", path)
        assert (status, json.loads(text)) == (404, {"error": "Not Found"})


def test_other_methods_are_refused(url):
    assert ask(url, "GET", "/v1/latency")[0] == 405
    assert ask(url, "DELETE", "/v1/devices")[0] == 405


def test_health_metrics_and_description(url):
    assert json.loads(ask(url, "GET", "/healthz")[1]) == {"status": "ok", "devices": 2}
    with Client(url, device="one") as client:
        client.predict(SPACE.text(SPACE.smallest), space="tiny")
    metrics = ask(url, "GET", "/metrics")[1]
    assert re.search(r'^sparsenas_requests_total\{path="/v1/latency",status="200"\} [1-9]', metrics, re.M)
    assert re.search(r'^sparsenas_predictions_total\{device="one"\} [1-9]', metrics, re.M)
    buckets = [int(n) for n in re.findall(r'_bucket\{le="[^"]+"\} (\d+)', metrics)]
    assert buckets == sorted(buckets)
    status, page = ask(url, "GET", "/docs")
    assert status == 200
    assert "POST /v1/latency" in page
    assert "<script" not in page
    assert not re.search(r'(src|href)="(https?:)?//', page)


def test_a_name_of_another_host_is_refused(url):
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example"):
        status, text = ask(url, "GET", "/v1/devices", headers={"Host": host})
        assert status == 403
        assert "loopback" in json.loads(text)["error"]
    for host in ("localhost:1", "[::1]:80", "127.0.0.1"):
        assert ask(url, "GET", "/v1/devices", headers={"Host": host})[0] == 200


def test_a_token_is_asked_for(tables):
    with serving(tables[0], token=TOKEN) as url:
        for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": f"Basic {TOKEN}"}):
            assert ask(url, "GET", "/v1/devices", headers=headers)[0] == 401
            assert post(url, {"layers": []}, **headers)[0] == 401
        assert ask(url, "GET", "/healthz")[0] == 200
        with Client(url, token=TOKEN) as client:
            assert client.predict(SPACE.text(SPACE.largest), space="tiny") > 0
        with (
            Client(url, token="another") as client,
            pytest.raises(UserError, match="says: Expected the header Authorization"),
        ):
            client.devices()


def test_a_table_is_replaced_while_questions_are_answered(tmp_path):
    """Every answer is that of the old table or of the new one; a damaged table changes nothing."""
    table = table_of_space(SPACE)
    path = tmp_path / "table.json"
    save(table, path)
    slower = replace(
        table,
        layers=tuple(
            replace(m, us=3 * m.us, low_us=3 * m.low_us, high_us=3 * m.high_us) for m in table.layers
        ),
    )
    layers = [describe(m.layer) for m in table.layers[:20]]
    with serving(path) as url:
        client, answers, done = Client(url), [], threading.Event()
        fast = [one.us for one in client.layers(layers)]

        def keep_asking():
            with Client(url) as asking:
                while not done.is_set():
                    answers.append([one.us for one in asking.layers(layers)])

        thread = threading.Thread(target=keep_asking)
        thread.start()
        text = path.read_text()
        path.with_name("half.json").write_text(text[: len(text) // 2])
        path.with_name("half.json").replace(path)
        wait_for(lambda: 'result="refused"} 1' in ask(url, "GET", "/metrics")[1])
        assert [one.us for one in client.layers(layers)] == fast
        save(slower, path)
        wait_for(lambda: 'result="done"} 1' in ask(url, "GET", "/metrics")[1])
        slow = [one.us for one in client.layers(layers)]
        done.set()
        thread.join()
        client.close()
    assert slow == pytest.approx([3 * us for us in fast], rel=1e-4)
    assert len(answers) > 10
    assert all(answer in (fast, slow) for answer in answers)


def wait_for(condition, seconds: float = 20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_client_says_what_is_wrong():
    with pytest.raises(UserError, match="Expected the address of a service"):
        Client("localhost:80")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(UserError, match="No answer from the latency service"):
        Client(f"http://127.0.0.1:{port}").devices()


def test_an_address_that_is_taken_is_one_line():
    with listen("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(UserError, match=f"Cannot listen at '127.0.0.1', port {port}: .*in use"):
            listen("127.0.0.1", port)
    for host in ("192.0.2.1", "no.such.host.invalid"):
        with pytest.raises(UserError, match="Cannot listen"):
            listen(host, 0)
    for port in (-1, 65536):
        with pytest.raises(UserError, match=f"A port is .* found {port}"):
            listen("127.0.0.1", port)


def test_two_tables_of_one_name_are_refused(tables, tmp_path):
    save(table_of_space(SPACE), tmp_path / "one.json")
    with pytest.raises(UserError, match="Two devices are named 'one'"):
        open_devices([str(tables[0]), str(tmp_path / "one.json")], threads=1)


# A layer that fits the grammar may still be one that no network can have, so that questions of the right
# form may be refused: the check that they are not is left out.
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    negative_data_rejection, unsupported_method,
]  # fmt: skip


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_service_keeps_to_its_description(url, mode):
    """Questions are made from the service's own description, right ones and wrong ones."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert sorted(operation.path for operation in operations) == [
        "/healthz", "/metrics", "/v1/devices", "/v1/latency",
    ]  # fmt: skip
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and operation.path != "/v1/latency":
            continue  # Nothing can be wrong in a question without a body.

        @settings(
            max_examples=40, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def keeps_to_it(case):
            case.call_and_validate(checks=CHECKS)

        keeps_to_it()
