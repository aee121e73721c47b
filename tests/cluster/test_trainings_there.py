"""Real trainings on a real cluster: candidates by one worker and by two, and the supernet as a task of its
own, which goes on elsewhere when its node dies."""

import threading
import time

import jax
import numpy as np
import pytest
import ray
from ray.cluster_utils import Cluster

from sparsenas import checkpoint
from sparsenas.bench.chaos_search import space
from sparsenas.candidates import (
    Context,
    candidate_spec,
    crew_for_supernet,
    evaluate,
    train_supernet_there,
)
from sparsenas.cluster import spool
from sparsenas.cluster.crew import Job
from sparsenas.cluster.join import Joined, environment_of_workers
from sparsenas.cluster.pool import Pool
from sparsenas.cluster.settings import ClusterSettings, Resources
from sparsenas.data import load
from sparsenas.errors import UserError
from sparsenas.train import CandidateSettings, NetworkSettings, SupernetSettings
from sparsenas.trials import TrialLog, candidate_id

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
        candidate=CandidateSettings(steps=80, batch=32, rungs=2, reduction=2),
        network=NetworkSettings(),
        supernet=SupernetSettings(steps=2000, batch=16),
        seed=0,
        run=folder,
    )


def found_by(workers, context, archs):
    """What a number of workers finds and leaves, and how many worked at once."""
    log = TrialLog(context.run / "trials.sqlite")
    crew = Pool(
        Joined(workers=workers, resources=Resources(), is_local=False),
        evaluate,
        context,
        log=log,
        run=context.run,
        settings=ClusterSettings(),
        environment=environment_of_workers(Resources()),
    )
    specs = [{**candidate_spec(context, arch, data="d"), "rung": 0} for arch in archs]
    for spec in specs:
        crew.submit(Job(candidate=candidate_id(spec), rung=0, spec=spec))
    found, most = {}, 0
    while len(found) < len(specs):
        found |= {one.job.candidate: one.metrics for one in crew.finished()}
        most = max(most, len(crew._running))
    log.close()
    return found, {one: spool.load_weights(context.run, one, 0) for one in found}, most


def test_one_worker_and_two_find_the_same_to_the_last_bit(cluster, tmp_path):
    rng = np.random.default_rng(0)
    archs = [space().sample(rng) for _ in range(6)]
    one, two = (found_by(count, context_in(tmp_path / str(count)), archs) for count in (1, 2))
    assert (one[2], two[2]) == (1, 2)
    assert one[0] == two[0]
    assert all(0 < metrics["accuracy"] <= 1 for metrics in one[0].values())
    # All that the losses have left.
    for candidate, weights in one[1].items():
        for name, array in weights.items():
            np.testing.assert_array_equal(array, two[1][candidate][name])


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
