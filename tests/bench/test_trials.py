import pytest

from sparsenas.bench.trials import bench_log
from sparsenas.cli.lookup import find_space
from sparsenas.errors import UserError


def test_log_is_resumed_and_listed():
    found = bench_log(find_space("tiny"), trials=300)
    assert list(found) == [
        "machine", "version", "trials", "log_bytes", "resume_seconds", "list_seconds", "list_sorted_seconds",
        "list_all_seconds", "command_seconds",
    ]  # fmt: skip
    assert found["trials"] == 300
    assert all(found[name] > 0 for name in found if name.endswith("_seconds"))


def test_log_without_trials_is_refused():
    with pytest.raises(UserError, match="`log` must be at least 1, found 0"):
        bench_log(find_space("tiny"), trials=0)
