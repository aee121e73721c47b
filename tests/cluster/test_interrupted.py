"""Ctrl-C while a Ray of our own has candidates that are worked on, and others that wait for their turn."""

import json
import os
import signal
import subprocess
import sys

PROGRAM = """
import json, signal, sys, time
from pathlib import Path
from sparsenas.cluster.crew import Job
from sparsenas.cluster.join import joined
from sparsenas.cluster.settings import ClusterSettings
from sparsenas.cluster.work import Worked
from sparsenas.trials import TrialLog, candidate_id

def evaluate(context, spec, start, parts, check):
    time.sleep(1)
    return Worked({"value": spec["number"] / 7}, None)

# Whoever runs tests in the background may ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
run, settings = Path(sys.argv[1]), ClusterSettings(workers=1)
log = TrialLog(run / "trials.sqlite")
with joined(settings, cache=run) as place:
    from sparsenas.cluster.pool import Pool

    crew = Pool(place, evaluate, None, log=log, run=run, settings=settings)
    jobs = [Job(candidate=candidate_id({"number": i}), rung=0, spec={"number": i}) for i in range(6)]
    for job in jobs:
        crew.submit(job)
    found = {}
    while len(found) < len(jobs):
        found |= {one.job.spec["number"]: one.metrics for one in crew.finished()}
        if found:
            print("found", flush=True)
outcomes = [[end for _, end in log.outcomes(job.candidate, 0)] for job in jobs]
print(json.dumps({"found": found, "outcomes": outcomes}))
"""


def start(run):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    command = [sys.executable, "-c", PROGRAM, run]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_candidates_that_waited_at_ctrl_c_are_done_later_and_nothing_twice(tmp_path):
    first = start(tmp_path)
    assert first.stdout.readline() == "found\n"
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=120)
    assert first.returncode != 0
    assert "KeyboardInterrupt" in said
    second = start(tmp_path)
    out, said = second.communicate(timeout=240)
    assert second.returncode == 0, said
    last = json.loads(out.splitlines()[-1])
    assert last["found"] == {str(i): {"value": i / 7} for i in range(6)}
    ends = last["outcomes"]
    # Nobody saw those end that the first start had given away: the one at work, its spare and perhaps one
    # that was done and not taken yet.
    assert all(set(some) <= {"done", None} for some in ends)
    assert all(some.count("done") <= 1 for some in ends)
    assert 1 <= sum(some.count(None) for some in ends) <= 3
