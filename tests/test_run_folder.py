import json

import pytest

from sparsenas.errors import UserError
from sparsenas.run_folder import check_unchanged

FACTS = {"space 'tiny'": "a1", "images of 'digits'": "b2"}


def test_what_settings_only_name_must_stay_the_same(tmp_path):
    check_unchanged(tmp_path, FACTS)
    check_unchanged(tmp_path, FACTS)
    with pytest.raises(
        UserError, match=r"another experiment: images of 'digits' changed since it was started"
    ):
        check_unchanged(tmp_path, {**FACTS, "images of 'digits'": "c3"})
    assert json.loads((tmp_path / "experiment.json").read_text()) == FACTS


@pytest.mark.parametrize("content", ["[]", "{"])
def test_broken_facts_are_one_line(tmp_path, content):
    (tmp_path / "experiment.json").write_text(content)
    with pytest.raises(UserError, match="Cannot read .*experiment.json"):
        check_unchanged(tmp_path, FACTS)
