"""Which networks of a supernet each step trains.

Progressive shrinking (Cai et al., 2020, https://arxiv.org/abs/1908.09791) begins with the largest network and
opens the choices kind by kind: kernel sizes, depths, widths, and here sparsity last.
"""

from collections.abc import Callable, Sequence

import numpy as np

from sparsenas.space import Arch, Space
from sparsenas.supernet import Choices, batch_one_hot

KINDS = ("kernels", "depths", "widths", "sparsities")
"""Of choices, in the order in which they usually open."""


def kinds(space: Space) -> tuple[frozenset[str], ...]:
    """Returns for each choice of a space what it decides, of `KINDS`."""
    found: list[set[str]] = [set() for _ in space.choices]
    for template in space.templates:
        for kind, dims in (
            ("kernels", (template.kernel,)),
            ("depths", (template.present,)),
            ("widths", (template.c_in, template.c_out)),
            ("sparsities", (template.sparsity,)),
        ):
            for dim in dims:
                for choice in dim.choices:
                    found[choice].add(kind)
    return tuple(map(frozenset, found))


def sampler(
    space: Space,
    *,
    largest: float,
    between: int | None,
    opens: dict[str, int],
    rng: np.random.Generator,
) -> Callable[[int], Choices]:
    """Returns a function that draws the networks of the next so many steps.

    Args:
        largest: part of the steps that train the largest network instead of a random one.
        between: how many random ones each step trains beside the largest and the smallest; None for one
            network a step.
        opens: the step from which choices of a kind are open; before, they have the option that the largest
            network has. One that decides several things opens with the last of them.

    Returns:
        Steps to choices: [steps, options] each, or [steps, 2 + between, options], the largest first.
    """
    opened_at = np.array([max((opens[kind] for kind in found), default=0) for found in kinds(space)], int)
    top = space.largest
    step = 0

    def limited(arch: Arch) -> Arch:
        return space.canonical(
            tuple(one if step >= at else most for one, at, most in zip(arch, opened_at, top, strict=True))
        )

    def random() -> Arch:
        return limited(tuple(int(rng.integers(len(choice.options))) for choice in space.choices))

    def of_one_step() -> list[Arch]:
        if between is None:
            return [top if rng.random() < largest else random()]
        return [top, limited(space.smallest), *(random() for _ in range(between))]

    def draw(steps: int) -> Choices:
        nonlocal step
        archs: list[Arch] = []
        for _ in range(steps):
            archs += of_one_step()
            step += 1
        found = batch_one_hot(space, archs)
        if between is None:
            return found
        return tuple(options.reshape(steps, 2 + between, -1) for options in found)

    return draw


def sampler_among(
    space: Space, archs: Sequence[Arch], *, rng: np.random.Generator
) -> Callable[[int], Choices]:
    """Returns a function that draws the networks of the next so many steps, each as often as any other."""
    return lambda steps: batch_one_hot(space, [archs[i] for i in rng.integers(len(archs), size=steps)])
