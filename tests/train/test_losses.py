"""Losses are their formulas; a teacher helps, and must fit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas.builder import Builder
from sparsenas.data import Split
from sparsenas.errors import UserError
from sparsenas.supernet import supernet
from sparsenas.train import NetworkSettings, Teacher, logits, train_network
from sparsenas.train.losses import cross_entropy, distillation, divergence

RNG = np.random.default_rng(0)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def space(classes=3, side=6, width=4):
    net = Builder("small", image=(side, side, 3), classes=classes)
    return net.classify(net.conv_hwc("stem", net.image, width, activation="relu"))


def test_divergence_is_the_formula():
    teacher, student = RNG.normal(size=(2, 5, 4)).astype(np.float32)
    p, q = softmax(teacher / 3), softmax(student / 3)
    expected = 9 * (p * np.log(p / q)).sum(-1).mean()
    assert float(divergence(jnp.asarray(teacher), jnp.asarray(student), 3.0)) == pytest.approx(
        expected, rel=1e-5
    )
    assert float(divergence(jnp.asarray(teacher), jnp.asarray(teacher), 3.0)) == pytest.approx(0, abs=1e-6)


def test_distillation_weighs_labels_and_the_teachers_answers():
    net = supernet(space())
    variables = net.init(np.random.default_rng(1))
    x = RNG.random((5, 6, 6, 3), np.float32)
    answers, _ = net.apply(variables, x, (), train=False)
    outputs = RNG.normal(size=(5, 3)).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1]]
    loss = distillation(net, variables, weight=0.3, temperature=2.0)
    hard = -(targets * np.log(softmax(outputs))).sum(-1).mean()
    soft = float(divergence(answers, jnp.asarray(outputs), 2.0))
    found = float(jax.jit(loss.value)(loss.arrays, x, outputs, targets))
    assert found == pytest.approx(0.7 * hard + 0.3 * soft, rel=1e-5)
    assert float(cross_entropy().value((), x, outputs, targets)) == pytest.approx(hard, rel=1e-5)


def test_a_student_learns_what_only_the_teacher_knows():
    images = RNG.integers(0, 256, (60, 6, 6, 3), np.uint8)
    unknown = Split(images, np.zeros(60, np.int32))  # Labels say nothing.
    teacher = Teacher(
        space=space(), variables=supernet(space()).init(np.random.default_rng(5)), weight=1.0, temperature=2.0
    )
    expected = logits(supernet(teacher.space), teacher.variables, images)
    settings = NetworkSettings(steps=400, batch=20, shift=0, learning_rate=0.05, label_smoothing=0.0)
    found = train_network(space(width=8), unknown, settings, seed=0, teacher=teacher)
    answers = logits(supernet(space(width=8)), found, images)
    blind = train_network(space(width=8), unknown, settings, seed=0)

    def off(outputs):
        return np.abs(softmax(outputs) - softmax(expected)).max(-1).mean()

    assert off(answers) < off(logits(supernet(space(width=8)), blind, images)) / 3


def test_a_teacher_of_other_classes_or_size_is_refused():
    teacher = Teacher(
        space=space(classes=4), variables=supernet(space(classes=4)).init(np.random.default_rng(0))
    )
    with pytest.raises(
        UserError, match=r"teacher \(small\) has classes 4, the network .* 3; train the teacher"
    ):
        teacher.loss(space())
    with pytest.raises(UserError, match=r"has an image of \(6, 6, 3\), .* \(8, 8, 3\)"):
        teacher.loss(space(classes=4, side=8))
    for changes, says in (
        ({"weight": 1.5}, "from 0 to 1, found 1.5"),
        ({"temperature": 0}, "above 0, found 0"),
    ):
        with pytest.raises(UserError, match=says):
            dataclasses.replace(teacher, **changes).loss(space(classes=4))
