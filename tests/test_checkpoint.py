"""Arrays on disk and back, to the bit."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas import checkpoint
from sparsenas.errors import UserError


class Pair(NamedTuple):
    first: object
    second: object


def tree():
    return {
        "pair": Pair(jnp.float32(1.5), (np.arange(6, dtype=np.int32).reshape(2, 3).T, ())),
        "masks": [np.array([True, False]), np.array(True)],
        "half": jnp.arange(5, dtype=jnp.bfloat16) / 3,
        "key": jax.random.key_data(jax.random.key(3)),
        "none": np.zeros((0, 4), np.float32),
    }


def test_a_tree_comes_back_as_it_was(tmp_path):
    checkpoint.save_step(tmp_path, 7, checkpoint.to_arrays(tree()), about={"space": "a"})
    step, arrays, about = checkpoint.last_step(tmp_path)
    assert (step, about) == (7, {"space": "a"})
    found = checkpoint.from_arrays(tree(), arrays, source="here")
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(tree()), strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert a.tobytes() == np.asarray(b, order="C").tobytes()


def test_the_last_two_stay(tmp_path):
    for step in (1, 5, 30, 4000):
        checkpoint.save_step(tmp_path, step, {"a": np.zeros(2)}, about={})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-00000030.json", "step-00000030.safetensors", "step-00004000.json", "step-00004000.safetensors",
    ]  # fmt: skip


def test_without_its_manifest_a_checkpoint_is_none(tmp_path):
    assert checkpoint.last_step(tmp_path) is None
    assert checkpoint.last_step(tmp_path / "nowhere") is None
    checkpoint.save_step(tmp_path, 1, {"a": np.zeros(2)}, about={})
    (tmp_path / "step-00000001.json").unlink()
    assert checkpoint.last_step(tmp_path) is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "manifest", "empty manifest"])
def test_damage_is_seen(tmp_path, damage):
    checkpoint.save_step(tmp_path, 1, {"a": np.zeros(2)}, about={})
    data, manifest = tmp_path / "step-00000001.safetensors", tmp_path / "step-00000001.json"
    content = bytearray(data.read_bytes())
    match damage:
        case "cut":
            data.write_bytes(content[:-1])
        case "flipped":
            content[-1] ^= 1
            data.write_bytes(content)
        case "gone":
            data.unlink()
        case "manifest":
            manifest.write_text("{")
        case "empty manifest":
            manifest.write_text("{}")
    with pytest.raises(UserError, match="None of 1 checkpoints there is whole; start again"):
        checkpoint.last_step(tmp_path)


@pytest.mark.parametrize(
    ("like", "says"),
    [
        ({"b": np.zeros(2)}, "here has no array 'b'; it belongs to another space"),
        ({"a": np.zeros(3)}, r"'a' of here should have shape \[3\], found \[2\]"),
        ({"a": np.zeros(2, np.float32)}, "'a' of here should have type float32, found float64"),
    ],
)
def test_arrays_of_something_else_are_refused(like, says):
    with pytest.raises(UserError, match=says):
        checkpoint.from_arrays(like, {"a": np.zeros(2)}, source="here")
