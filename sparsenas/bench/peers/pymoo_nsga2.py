"""NSGA-II of pymoo (Blank and Deb, 2020, https://doi.org/10.1109/ACCESS.2020.2990567), on a table."""

import importlib.util

import numpy as np

from sparsenas.bench.tabular import Table


def installed() -> bool:
    """Tells whether pymoo can be imported."""
    return importlib.util.find_spec("pymoo") is not None


def play(
    table: Table, cost: str, accuracy: np.ndarray, seed: int, evaluations: int, *, population: int = 20
) -> np.ndarray:
    """Returns the rows of a table that pymoo evaluates, in its order.

    Integers as its documentation has them: random ones first, then simulated binary crossover and polynomial
    mutation, rounded. An architecture that it asks for again, as it has forgotten it, counts once only.

    Args:
        accuracy: [N], what its evaluations see.
    """
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling

    sizes = np.array([len(choice.options) for choice in table.choices])
    algorithm = NSGA2(
        pop_size=population,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    problem = Problem(n_var=len(sizes), n_obj=2, xl=np.zeros(len(sizes)), xu=sizes - 1, vtype=int)
    algorithm.setup(problem, termination=("n_gen", evaluations), seed=seed, verbose=False)
    rows: dict[int, None] = {}
    while algorithm.has_next() and len(rows) < evaluations:
        asked = algorithm.ask()
        if asked is None or not len(asked):
            break
        found = table.rows(asked.get("X").round().astype(int))
        asked.set("F", np.stack([-accuracy[found], table.costs[cost][found]], 1))
        algorithm.tell(infills=asked)
        rows |= dict.fromkeys(found.tolist())
    return np.array(list(rows)[:evaluations])
