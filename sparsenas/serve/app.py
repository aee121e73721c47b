"""The service itself: questions in, predictions out."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from sparsenas import __version__
from sparsenas.errors import UserError
from sparsenas.latency.layer_text import parse_layer
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.result import Latency, LayerLatency
from sparsenas.serve.guard import App, Guard, problem
from sparsenas.serve.metrics import Metrics
from sparsenas.serve.page import page
from sparsenas.serve.schema import MOST_BODY_BYTES, Answer, Devices, Health, Problem, Question
from sparsenas.serve.served import Served
from sparsenas.space import Space

_BODY_SECONDS = 10.0
_RELOAD_SECONDS = 0.5
# Layers in a question from which on it is answered beside the others, not before them.
_MANY = 200
_PATHS = frozenset({"/v1/latency", "/v1/devices", "/healthz", "/metrics", "/openapi.json", "/docs"})
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": text}
    for code, text in {
        401: "No token, or a wrong one, where the service asks for one.",
        403: "Not called by a loopback address.",
        404: "No such device or space.",
        408: "The body did not arrive in time.",
        413: "The body is too large.",
        422: "The question is not one; the error says what was expected.",
    }.items()
}
_DESCRIPTION = (
    "Predicts how long layers and networks take on devices that were measured. A layer is written like "
    '"conv1x1 64x128@28 sparsity=0.9 block=4": operator, channels in x out @ input pixels, settings.'
)


def make_app(served: Mapping[str, Served], spaces: Mapping[str, Space], *, token: str | None = None) -> App:
    """Returns the service as an ASGI application.

    Args:
        served: at least one device, by name.
        spaces: whose architectures can be asked for. Nothing else is ever looked up: no part of a request
            becomes the name of a file.
        token: what a question must bring; None where only this machine can ask.
    """
    metrics = Metrics()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(_keep_fresh(served, metrics))
        yield
        task.cancel()

    app = FastAPI(title="SparseNAS latency", version=__version__, description=_DESCRIPTION, lifespan=lifespan,
                  docs_url=None, redoc_url=None, openapi_url=None)  # fmt: skip

    @app.post(
        "/v1/latency", response_model=Answer, responses=_PROBLEMS, summary="Predict layers and networks",
        openapi_extra={"requestBody": _body()},
    )  # fmt: skip
    async def latency(request: Request) -> Response:
        body = await _body_of(request)
        question = Question.model_validate_json(body)
        device = _device(served, question.device)
        count = len(question.layers) + sum(map(len, question.networks)) + 50 * len(question.architectures)
        # A table may be replaced meanwhile: all of an answer is from one model.
        arguments = question, device.name, device.model, spaces
        found = await asyncio.to_thread(answer, *arguments) if count > _MANY else answer(*arguments)
        metrics.predicted(
            device.name, len(question.layers) + len(question.networks) + len(question.architectures)
        )
        return Response(json.dumps(found), media_type="application/json")

    @app.get(
        "/v1/devices", response_model=Devices, responses=_some(401, 403), summary="List devices and spaces"
    )
    async def devices() -> Response:
        found = {"devices": [_describe(one) for one in served.values()], "spaces": list(spaces)}
        return Response(json.dumps(found), media_type="application/json")

    @app.get("/healthz", response_model=Health, responses=_some(403), summary="Say that the service is there")
    async def healthz() -> Response:
        return Response(json.dumps({"status": "ok", "devices": len(served)}), media_type="application/json")

    @app.get(
        "/metrics", response_class=Response, summary="Count, for Prometheus",
        responses=_some(401, 403) | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )  # fmt: skip
    async def prometheus() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    document = _document(app, token is not None)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return Response(json.dumps(document), media_type="application/json")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        policy = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return Response(page(document), media_type="text/html", headers=policy)

    @app.exception_handler(ValidationError)
    async def invalid(request: Request, error: ValidationError) -> Any:
        return _Answered(422, _one_line(error))

    @app.exception_handler(UserError)
    async def wrong(request: Request, error: UserError) -> Any:
        return _Answered(422, str(error))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Any:
        return _Answered(error.status_code, str(error.detail), dict(error.headers or {}))

    return Guard(app, token=token, metrics=metrics, paths=_PATHS)


def answer(question: Question, name: str, model: LatencyModel, spaces: Mapping[str, Space]) -> dict[str, Any]:
    """Returns the predictions that a question asks for."""
    layers = [_layer(model.layer(parse_layer(text))) for text in question.layers]
    networks = [_network(model.predict([parse_layer(text) for text in texts])) for texts in question.networks]
    architectures = []
    if question.architectures:
        if question.space not in spaces:
            given = "no `space`" if question.space is None else f"space {question.space!r}"
            raise HTTPException(
                404, f"Architectures are of one of the spaces {', '.join(spaces)}; found {given}."
            )
        space = spaces[question.space]
        architectures = [_network(model.predict(space.parse(text), space)) for text in question.architectures]
    return {
        "device": name,
        "kind": model.table.kind,
        "layers": layers,
        "networks": networks,
        "architectures": architectures,
    }


class _Answered(Response):
    """A problem in one line."""

    def __init__(self, status: int, line: str, headers: dict[str, str] | None = None) -> None:
        super().__init__()
        self._problem = problem(status, line, headers)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._problem(scope, receive, send)


async def _keep_fresh(served: Mapping[str, Served], metrics: Metrics) -> None:
    """Reloads what was replaced, for ever."""
    while True:
        await asyncio.sleep(_RELOAD_SECONDS)
        for one in served.values():
            result = await asyncio.to_thread(one.refresh)
            if result != "same":
                metrics.reloaded(one.name, result)


async def _body_of(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > MOST_BODY_BYTES:
                    raise HTTPException(
                        413, f"A body has at most {MOST_BODY_BYTES} bytes; ask in smaller batches."
                    )
    except TimeoutError:
        raise HTTPException(408, f"The body did not arrive within {_BODY_SECONDS:g} s.") from None
    return bytes(body)


def _device(served: Mapping[str, Served], name: str | None) -> Served:
    if name is None and len(served) == 1:
        return next(iter(served.values()))
    if name not in served:
        given = "none" if name is None else repr(name)
        raise HTTPException(404, f"Expected `device`, one of {', '.join(served)}; found {given}.")
    return served[name]


def _layer(found: LayerLatency) -> dict[str, Any]:
    return {
        "us": found.us,
        "low_us": found.low_us,
        "high_us": found.high_us,
        "kernel": found.kernel,
        "measured": found.measured,
        "extrapolated": list(found.outside),
    }


def _network(found: Latency) -> dict[str, Any]:
    return {
        "ms": float(found),
        "low_ms": found.low_ms,
        "high_ms": found.high_ms,
        "extrapolated": list(found.notes),
    }


def _describe(one: Served) -> dict[str, Any]:
    table = one.model.table
    plain = {k: v for k, v in table.machine.items() if isinstance(v, str | int | float)}
    return {
        "device": one.name,
        "kind": table.kind,
        "threads": one.threads,
        "machine": plain,
        "build": table.build,
        "layers": len(table.layers),
        "networks": one.model.correction.networks,
        "error": {k: v for k, v in table.error.items() if isinstance(v, int | float)},
    }


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{f'`{where}`: ' if where else ''}{first['msg']}{more}"[:300]


def _some(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: _PROBLEMS[code] for code in codes}


def _body() -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": Question.model_json_schema()}}}


def _document(app: FastAPI, needs_token: bool) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    if needs_token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, methods in document["paths"].items():
            for operation in methods.values():
                if path != "/healthz":
                    operation["security"] = [{"token": []}]
    return document
