"""The supernet as a task of its own: on a node that has what it needs, and elsewhere when that one dies."""

import threading
import time

import jax
import numpy as np
import pytest
import ray
from ray.cluster_utils import Cluster

from sparsenas import checkpoint
from sparsenas.bench.chaos_search import space
from sparsenas.candidates import Context, crew_for_supernet, train_supernet_there
from sparsenas.cluster.settings import ClusterSettings
from sparsenas.data import load
from sparsenas.errors import UserError
from sparsenas.train import CandidateSettings, NetworkSettings, SupernetSettings
from sparsenas.trials import TrialLog

# Ray forks to start a program at once, which threads of JAX survive.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")

SETTINGS = ClusterSettings(resources_for_supernet="cpu=1,accelerator=1")


@pytest.fixture(scope="module")
def cluster():
    """A head, and two nodes with an accelerator each, for which a resource stands."""
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(2):
        started.add_node(num_cpus=1, resources={"accelerator": 1})
    ray.init(address=started.address, log_to_driver=False, logging_level="error")
    yield started
    ray.shutdown()
    started.shutdown()


def context_in(folder):
    folder.mkdir()
    data = load("digits", size=(8, 8), seed=0)
    return Context(
        space=space(),
        training=data.train,
        validation=data.validation,
        candidate=CandidateSettings(),
        network=NetworkSettings(),
        supernet=SupernetSettings(steps=2000, batch=16),
        seed=0,
        run=folder,
    )


def trained(context, *, meanwhile=lambda crew: None):
    """The variables, and where the attempts were and how they ended."""
    log = TrialLog(context.run / "trials.sqlite")
    with crew_for_supernet(context, log=log, settings=SETTINGS) as crew:
        other = threading.Thread(target=meanwhile, args=(crew,))
        other.start()
        *_, variables = train_supernet_there(context, crew, data="d")
        other.join()
    ((candidate, rung),) = log._db.execute("select candidate, rung from result")
    ends = [end for _, end in log.outcomes(candidate, rung)]
    log.close()
    return variables, ends


def test_supernet_goes_on_elsewhere_when_its_node_dies(cluster, tmp_path):
    disturbed, undisturbed = context_in(tmp_path / "disturbed"), context_in(tmp_path / "undisturbed")
    kept = []

    def kill_its_node(crew):
        until = time.monotonic() + 120
        while time.monotonic() < until:
            steps = checkpoint.steps(disturbed.run / "checkpoints" / "supernet")
            where = [one.node for one in list(crew._running.values()) if one.node is not None]
            if steps and where:
                (node,) = (one for one in cluster.worker_nodes if one.node_id == where[0])
                cluster.remove_node(node, allow_graceful=False)
                kept.append(max(steps))
                return
            time.sleep(0.01)

    found, ends = trained(disturbed, meanwhile=kill_its_node)
    assert ends == ["lost", "done"]
    assert 0 < kept[0] < 2000
    expected, ends = trained(undisturbed)
    assert ends == ["done"]
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)


def test_accelerator_that_no_node_has_is_one_line(cluster, tmp_path):
    context = context_in(tmp_path / "run")
    log = TrialLog(context.run / "trials.sqlite")
    settings = ClusterSettings(resources_for_supernet="accelerator=2")
    with (
        pytest.raises(
            UserError, match=r"No node of the cluster has what the supernet needs \(.*accelerator=2"
        ),
        crew_for_supernet(context, log=log, settings=settings),
    ):
        pass
    log.close()
