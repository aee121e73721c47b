"""MobileNet v2 (Sandler et al., 2018, https://arxiv.org/abs/1801.04381): inverted residuals.

Width and depth of seven stages; kernel, expansion and the zeros of both 1x1 convolutions of every block. The
first of the five strides are 1 until four pixels a side are left at the end: two of them for a side of 32.
"""

from sparsenas.blocks import choice, halvings, mobile_stage, pointwise_levels
from sparsenas.builder import Builder
from sparsenas.dims import scaled
from sparsenas.space import Space
from sparsenas.sparsity.patterns import Block, Sparse

MULTIPLIERS = (0.35, 0.5, 0.75, 1.0, 1.4)
# Output channels, blocks, and whether the first one halves the image. The first stage does not expand.
STAGES = (
    (16, 1, False), (24, 2, True), (32, 3, True), (64, 4, True),
    (96, 3, False), (160, 3, True), (320, 1, False),
)  # fmt: skip
EXPANSIONS = (3, 4, 6)
# From this stage on Elsen et al. have blocks of 2x1 (2020, https://arxiv.org/abs/1911.09723).
BLOCKED = 5


def make(side: int) -> Space:
    """Returns the space for images of side x side pixels."""
    net = Builder("mobilenet_v2", image=(side, side, 3), classes=1000)
    first, *strides = halvings(side, 1 + sum(halves for _, _, halves in STAGES))
    stem = net.choice("stem.width", widths(32))
    x = net.conv_hwc("stem", net.image, stem, stride=first, activation="relu6")
    for i, (channels, most, halves) in enumerate(STAGES, 1):
        x = mobile_stage(
            net,
            f"stage{i}",
            x,
            widths=widths(channels),
            depths=range(1, most + 1),
            expansions=EXPANSIONS if i > 1 else (1,),
            stride=strides.pop(0) if halves else 1,
        )
    head = choice(net, "head.width", sorted({head_width(m) for m in MULTIPLIERS}))
    sparsity = net.choice("head.sparsity", pointwise_levels())
    x = net.conv1x1("head", x, head, activation="relu6", sparsity=sparsity)
    references = {f"{m:g}" if m != 1 else "1.0": reference(m) for m in MULTIPLIERS}
    for fraction in (0.8, 0.9):
        references[f"1.0-published-{fraction}"] = reference(1.0) | published(fraction)
    return net.classify(x, references=references)


def widths(channels: int) -> list[int]:
    return sorted({scaled(channels, m) for m in MULTIPLIERS})


def head_width(multiplier: float) -> int:
    """Returns the channels before the classifier, which never shrink."""
    return scaled(1280, max(1.0, multiplier))


def reference(multiplier: float) -> dict[str, object]:
    """Returns the options of the dense network of a width multiplier."""
    options: dict[str, object] = {
        "stem.width": scaled(32, multiplier),
        "head.width": head_width(multiplier),
    }
    for i, (channels, most, _) in enumerate(STAGES, 1):
        options[f"stage{i}.width"] = scaled(channels, multiplier)
        options |= {f"stage{i}.block{j}.kernel": 3 for j in range(1, most + 1)}
    return options


def published(fraction: float) -> dict[str, object]:
    """Returns zeros as Elsen et al. have them: unstructured, then 2x1."""
    blocked = Sparse(fraction, Block(2))
    options: dict[str, object] = {"head.sparsity": blocked}
    for i, (_, most, _) in enumerate(STAGES, 1):
        for j in range(1, most + 1):
            for layer in ("expand", "project") if i > 1 else ("project",):
                at = f"stage{i}.block{j}.{layer}.sparsity"
                options[at] = blocked if i >= BLOCKED else Sparse(fraction)
    return options


SPACE = make(224)
