"""A crew on a real Ray: two nodes of this machine, with real crashes, hangs and lies."""

import contextlib
import os
import signal
import socket
import sys
import time
import urllib.request

import numpy as np
import pytest
import ray
from ray.cluster_utils import Cluster

from sparsenas.cluster import join, pool, spool
from sparsenas.cluster.crew import Alone, Job
from sparsenas.cluster.join import Joined
from sparsenas.cluster.settings import ClusterSettings, Resources
from sparsenas.cluster.version import version
from sparsenas.cluster.work import Worked
from sparsenas.errors import UserError
from sparsenas.trial_list import read_rows
from sparsenas.trials import TrialLog, candidate_id

# Ray forks to start a program at once, which threads of JAX survive.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")

# Workers do not have the tests.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

HOST = socket.gethostname()
BITTER = ("raises", "refused", "dies", "hangs", "large")


def evaluate(context, spec, start, parts, check):
    """What a candidate named by its deed does."""
    if spec["deed"] == "raises":
        raise KeyError("thing")
    if spec["deed"] == "refused":
        raise UserError("It diverged.")
    if spec["deed"] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if spec["deed"] == "hangs":
        time.sleep(600)
    if spec["deed"] == "large" or (spec["deed"] == "half" and parts == 1):
        raise MemoryError
    if spec["deed"] == "slow":
        time.sleep(0.5)
    if start is not None:
        return Worked({"value": float(start["w"].sum())}, None)
    arrays = {"w": context[: spec["rung"] + 2]} if spec["deed"] == "arrays" else None
    return Worked({"value": float(context.sum()), "parts": float(parts)}, arrays)


def job(deed, number=0, *, rung=0, start=None):
    spec = {"deed": deed, "number": number, "rung": rung}
    candidate = candidate_id({"deed": deed, "number": number})
    return Job(candidate=candidate, spec=spec, rung=rung, start=start)


def all_of(crew, jobs):
    for one in jobs:
        crew.submit(one)
    found = []
    while len(found) < len(jobs):
        found.extend(crew.finished())
    return {one.job.spec["deed"]: one for one in found}


@pytest.fixture(scope="module")
def cluster():
    """A head without cores and two nodes of one core."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        head = {"num_cpus": 0, "include_dashboard": False}
        head["_system_config"] = {"metrics_report_interval_ms": 500}
        started = Cluster(initialize_head=True, head_node_args=head)
        started.add_node(num_cpus=1)
        started.add_node(num_cpus=1)
        ray.init(address=started.address, log_to_driver=False, logging_level="error")
        yield started
        ray.shutdown()
        started.shutdown()


@pytest.fixture
def crew_in(cluster, tmp_path):
    logs = []

    def make(name="run", **settings):
        (tmp_path / name).mkdir(exist_ok=True)
        log = TrialLog(tmp_path / name / "trials.sqlite")
        logs.append(log)
        place = Joined(workers=None, resources=Resources(), is_local=False)
        return pool.Pool(
            place,
            evaluate,
            np.arange(4.0),
            log=log,
            run=tmp_path / name,
            settings=ClusterSettings(**settings),
        )

    yield make
    for log in logs:
        log.close()


def test_poison_is_given_up_and_all_else_finishes(crew_in, tmp_path):
    crew = crew_in(deadline=6.0, attempts=2)
    jobs = [job(deed) for deed in (*BITTER, "half", "fine", "slow")]
    found = all_of(crew, jobs)
    assert {deed: found[deed].error for deed in BITTER} == {
        "raises": "KeyError: 'thing' (twice)",
        "refused": "It diverged.",
        "dies": "2 failed attempts: 2 x crashed",
        "hangs": "2 failed attempts: 2 x overdue",
        "large": "out of memory, also with half a batch at a time",
    }
    assert found["fine"].metrics == {"value": 6.0, "parts": 1.0}
    assert found["half"].metrics == {"value": 6.0, "parts": 2.0}
    assert found["slow"].metrics == {"value": 6.0, "parts": 1.0}
    status = crew.status()
    assert status.failed == len(BITTER)
    assert sum(status.done.values()) == 3
    assert any("passed its deadline of 6 s" in notice for notice in status.notices)
    # What is known is looked up, not done again.
    attempts = [crew._ledger.log.outcomes(one.candidate, 0) for one in jobs]
    assert all_of(crew, jobs) == found
    assert [crew._ledger.log.outcomes(one.candidate, 0) for one in jobs] == attempts


def test_killed_workers_cost_an_attempt_and_no_result(crew_in):
    crew = crew_in(attempts=5)
    jobs = [job("slow", i) for i in range(6)]
    for one in jobs:
        crew.submit(one)
    found, killed = [], 0
    while len(found) < len(jobs):
        found.extend(crew.finished())
        running = [one for one in crew._running.values() if one.node is not None]
        if killed < 2 and running:
            os.kill(running[0].pid, signal.SIGKILL)
            killed += 1
    assert killed == 2
    assert sorted(one.job.spec["number"] for one in found) == list(range(6))
    assert all(one.metrics == {"value": 6.0, "parts": 1.0} for one in found)
    ends = [end for one in jobs for _, end in crew._ledger.log.outcomes(one.candidate, 0)]
    assert ends.count("done") == 6
    assert ends.count("crashed") == len(ends) - 6 > 0


def test_what_was_lost_with_its_node_is_not_waited_for(crew_in, monkeypatch):
    """As Ray says it, a stream whose end is on a node that died has no next word, and no error."""
    crew, lost, usual = crew_in(), [], ray.ObjectRefGenerator._next_sync

    def next_sync(stream, timeout_s=None):
        assert timeout_s is not None
        if not lost and crew._running[stream].node is not None:
            lost.append(stream)
            return ray.ObjectRef.nil()
        return usual(stream, timeout_s)

    monkeypatch.setattr(ray.ObjectRefGenerator, "_next_sync", next_sync)
    one = job("slow", 7)
    assert all_of(crew, [one])["slow"].metrics == {"value": 6.0, "parts": 1.0}
    assert len(lost) == 1
    # The worker had committed what it found, so that nobody trains again.
    assert crew._ledger.log.outcomes(one.candidate, 0) == [(HOST, "lost")]


def test_workers_go_on_with_spares_while_nobody_listens(crew_in, tmp_path):
    crew = crew_in()
    jobs = [job("fine", i) for i in range(5)]
    for one in jobs:
        crew.submit(one)
    assert crew.finished() == []
    status = crew.status()
    assert (status.queued, sum(status.running.values())) == (3, 2)  # A spare for each, and one in the queue.
    places = [spool.place(tmp_path / "run", one.candidate, 0) for one in jobs]
    until = time.monotonic() + 60
    while not all(place.exists() for place in places[:4]) and time.monotonic() < until:
        time.sleep(0.01)
    assert [place.exists() for place in places] == [True] * 4 + [False]
    found = []
    while len(found) < len(jobs):
        found.extend(crew.finished())
    assert [crew._ledger.log.outcomes(one.candidate, 0) for one in jobs] == [[(HOST, "done")]] * 5


def test_deadline_begins_when_there_is_room(crew_in):
    crew = crew_in(deadline=30.0)
    jobs = [job("slow", i) for i in range(4)]
    for one in jobs:
        crew.submit(one)
    crew.finished()
    first, second, *spares = crew._active()
    assert crew._spares() == set(spares)
    submitted = time.monotonic()
    for one in (second, *spares):
        one.node, one.since = None, submitted - 1000
    crew._pass_deadlines()
    assert [one.is_late for one in (first, second, *spares)] == [False, True, False, False]
    # Who has its place now is late after a while, too, and the last one is not.
    assert all(one.since >= submitted for one in spares)
    assert crew._spares() == {spares[1]}
    for one in spares:
        one.since = submitted - 1000
    crew._pass_deadlines()
    assert [one.is_late for one in spares] == [True, False]
    found = []
    while len(found) < len(jobs):
        found.extend(crew.finished())
    ends = [[end for _, end in crew._ledger.log.outcomes(one.candidate, 0)] for one in jobs]
    assert ends == [["done"], ["lost", "done"], ["lost", "done"], ["done"]]


def test_spares_outlive_the_worker_they_would_have_had(crew_in):
    crew = crew_in(attempts=1)
    dying, *others = jobs = [job("dies"), *(job("slow", i) for i in range(3))]
    for one in jobs:
        crew.submit(one)
    found = []
    while len(found) < len(jobs):
        found.extend(crew.finished())
    outcomes = crew._ledger.log.outcomes
    assert [outcomes(one.candidate, 0) for one in others] == [[(HOST, "done")]] * 3
    assert outcomes(dying.candidate, 0) == [(HOST, "crashed")]


def test_there_are_no_spares_where_ray_would_start_them(crew_in):
    crew = crew_in()
    assert crew._most_spares(crew._capacity()) == 2
    # Fewer than there is room for, or more, as with a number of workers.
    assert [crew._most_spares(1), crew._most_spares(3)] == [0, 0]
    for node in crew._alive:
        node["Labels"] = {**node["Labels"], "ray.io/node-group": "small"}
    assert crew._most_spares(2) == 0


def test_higher_rungs_start_from_what_lower_ones_left(crew_in):
    crew = crew_in()
    assert all_of(crew, [job("arrays")])["arrays"].metrics["value"] == 6.0
    (second,) = all_of(crew, [job("arrays", rung=1, start=0)]).values()
    assert second.metrics == {"value": 1.0}


def test_results_come_through_the_driver_where_no_folder_is_shared(crew_in, tmp_path):
    crew = crew_in()
    crew._identity = "of a folder that workers do not see"
    found = all_of(crew, [job("arrays"), job("fine")])
    assert found["fine"].metrics == {"value": 6.0, "parts": 1.0}
    weights = spool.load_weights(tmp_path / "run", found["arrays"].job.candidate, 0)
    assert np.array_equal(weights["w"], np.arange(2.0))


def test_alone_finds_the_same(crew_in, tmp_path):
    jobs = [job(deed) for deed in ("raises", "refused", "large", "half", "fine")]
    there = all_of(crew_in("there"), jobs)
    (tmp_path / "here").mkdir()
    log = TrialLog(tmp_path / "here" / "trials.sqlite")
    settings = ClusterSettings()
    crew = Alone(evaluate, np.arange(4.0), log=log, run=tmp_path / "here", settings=settings)
    here = all_of(crew, jobs)
    log.close()
    assert here == there


def test_results_that_a_dead_driver_left_are_found(crew_in, tmp_path):
    one = job("fine")
    record = {"metrics": {"value": 7.0}, "node": "gone", "seconds": 1.0}
    (tmp_path / "run").mkdir()
    spool.commit(tmp_path / "run", one.candidate, 0, record, None)
    crew = crew_in()
    crew._ledger.log.propose(["a"], candidates=[one.candidate])
    assert all_of(crew, [one])["fine"].metrics == {"value": 7.0}
    (row,) = read_rows(tmp_path / "run" / "trials.sqlite")
    assert (row.node, row.attempts, row.trial.metrics) == ("gone", 0, {"value": 7.0})


def test_counts_are_exported_for_prometheus(crew_in):
    crew = crew_in()
    all_of(crew, [job("slow", i) for i in range(3)])
    here = ray.get_runtime_context().get_node_id()
    done, until = "", time.monotonic() + 60
    while not done and time.monotonic() < until:
        crew.finished()
        (node,) = (one for one in ray.nodes() if one["NodeID"] == here)
        where = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        with contextlib.suppress(OSError), urllib.request.urlopen(where, timeout=10) as page:
            lines = page.read().decode().splitlines()
            found = [one for one in lines if one.startswith("ray_sparsenas_candidates{")]
            done = "".join(one for one in found if 'state="done"' in one and one.endswith(" 3.0"))
        time.sleep(0.2)
    assert done
    assert any(one.startswith("ray_sparsenas_candidates_per_minute{") for one in lines)
    assert any(one.startswith("ray_sparsenas_running{") and 'node="' in one for one in lines)


def test_nodes_of_another_version_are_refused_before_any_trial(crew_in, monkeypatch):
    ours = version()
    monkeypatch.setattr(pool, "version", lambda: {**ours, "sparsenas": "99.0 (ffff)"})
    with pytest.raises(UserError, match=r"have other versions than .*: .* has sparsenas .* instead of 99\.0"):
        crew_in()


def test_node_that_comes_later_with_another_version_gets_no_work(crew_in):
    crew = crew_in()
    crew._version = {**crew._version, "sparsenas": "99.0 (ffff)"}
    with pytest.raises(UserError, match="No node has this version of the package"):
        all_of(crew, [job("fine")])


def test_what_no_node_has_is_one_line(cluster):
    with pytest.raises(UserError, match=r"what a candidate needs \(CPU=1, GPU=0\.5\); the most .*: CPU=1\."):
        join.check_room(Resources(1, 0.5))
    with pytest.raises(UserError, match=r"needs \(CPU=3\)"):
        join.check_room(Resources(3))


def test_cluster_without_tokens_is_refused(cluster, monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    settings = ClusterSettings(cluster=cluster.address)
    with (
        pytest.raises(UserError, match="A cluster without tokens runs anybody's code"),
        join.joined(settings, cache=tmp_path),
    ):
        pass
    token = tmp_path / "token"
    token.write_text("t" * 64)
    token.chmod(0o644)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    with pytest.raises(UserError, match=r"can be read by others \(mode 0644\); chmod 600"):
        join._check_token_here(settings)
    token.chmod(0o600)
    join._check_token_here(settings)
    with pytest.raises(UserError, match="asks for no token: whoever reaches it runs code of their own"):
        join._check_cluster(cluster.address, settings)
    join._check_cluster(cluster.address, ClusterSettings(insecure_cluster=True))


def test_unreachable_cluster_is_one_line(monkeypatch, tmp_path):
    settings = ClusterSettings(insecure_cluster=True)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(UserError, match=rf"No Ray cluster is reached at {nobody}: Connection refused\."):
            join._check_address(nobody)
        mute.listen()
        monkeypatch.setattr(join, "_SECONDS_TO_ANSWER", 3)
        join._check_address(nobody)
        with pytest.raises(UserError, match="does not answer as a Ray cluster does"):
            join._check_cluster(nobody, settings)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("ray://head:10001", "start the command with `ray job submit`"),
        ("head", "`cluster` is `auto` or HOST:PORT"),
        ("head:", "`cluster` is `auto` or HOST:PORT"),
        ("127.0.0.1:99999", "No Ray cluster is reached"),
    ],
)
def test_bad_addresses_are_one_line(address, says):
    with pytest.raises(UserError, match=says):
        join._check_address(address)
