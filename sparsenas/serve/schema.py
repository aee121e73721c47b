"""What the service is asked, and what it answers."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sparsenas.latency.layer_text import EXAMPLE

MOST_BODY_BYTES = 1 << 20
MOST_LAYERS = 2000
MOST_NETWORKS = 256
_LAYER_BYTES = 200

LayerText = Annotated[str, Field(min_length=1, max_length=_LAYER_BYTES, examples=[EXAMPLE])]


class Question(BaseModel):
    """Layers alone, whole networks by their layers, or architectures of a space."""

    model_config = ConfigDict(extra="forbid", strict=True)

    device: str | None = Field(None, max_length=100, description="May be left out where there is one.")
    layers: list[LayerText] = Field(default_factory=list, max_length=MOST_LAYERS)
    networks: list[Annotated[list[LayerText], Field(min_length=1, max_length=MOST_LAYERS)]] = Field(
        default_factory=list, max_length=MOST_NETWORKS
    )
    space: str | None = Field(None, max_length=100, description="The space that architectures are from.")
    architectures: list[Annotated[str, Field(max_length=1000, examples=["0-1-2"])]] = Field(
        default_factory=list, max_length=MOST_NETWORKS
    )


class LayerAnswer(BaseModel):
    """What a layer takes alone, in microseconds, and the interval of nine times of ten."""

    us: float
    low_us: float
    high_us: float
    kernel: str
    measured: bool = Field(description="Whether just this layer was measured.")
    extrapolated: list[str] = Field(description="In what it differs from all that was measured.")


class NetworkAnswer(BaseModel):
    """What a network takes, in milliseconds, and the interval of nine times of ten."""

    ms: float
    low_ms: float
    high_ms: float
    extrapolated: list[str] = Field(description="Layers that differ from all that was measured, and in what.")


class Answer(BaseModel):
    """As many answers as there were questions, in their order."""

    device: str
    kind: str = Field(description="measured, emulated or modelled")
    layers: list[LayerAnswer]
    networks: list[NetworkAnswer]
    architectures: list[NetworkAnswer]


class Device(BaseModel):
    """A device that the service predicts for."""

    device: str
    kind: str = Field(description="measured, emulated or modelled")
    threads: int
    machine: dict[str, str | int | float | None]
    build: str
    layers: int = Field(description="How many layers were measured.")
    networks: int = Field(description="How many networks whole predictions were fitted to.")
    error: dict[str, float | int] = Field(description="On what was held out: fractions.")


class Devices(BaseModel):
    """All devices and spaces."""

    devices: list[Device]
    spaces: list[str]


class Health(BaseModel):
    """That the service is there."""

    status: str
    devices: int


class Problem(BaseModel):
    """What is wrong with a question, in one line."""

    error: str
