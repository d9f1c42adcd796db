"""docs/moving.md: its names and numbers are those of the libraries and of this one.

tests/test_examples.py runs its scripts, which compare the losses.
"""

import inspect
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from kd_keras import Distiller, methods

PAGE = (Path(__file__).parent.parent / "docs" / "moving.md").read_text(encoding="utf-8")
REPDISTILLER = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (\S+)[^|]* \| (\S+) \|$", PAGE, re.MULTILINE)


def test_the_table_of_repdistiller_has_all_its_methods():
    assert len(REPDISTILLER) == 14


@pytest.mark.parametrize(("their_name", "name", "script", "default"), REPDISTILLER, ids=lambda v: v)
def test_a_weight_of_repdistiller_is_the_default_here(their_name, name, script, default):
    weight = methods.get(name).weight
    assert weight == float(default)
    if their_name not in ("kd", "kdsvd"):  # the one goes by -a, the other is not in the script
        assert weight == float(script)


def test_every_method_and_knob_in_the_page_exists():
    for name in re.findall(r'methods\.get\("(\w+)"', PAGE):
        assert name in methods.names()
    for name, knobs in re.findall(r"--method (\w+):([\w=,]+)", PAGE.replace("NAME", "kd")):
        assert {knob.partition("=")[0] for knob in knobs.split(",")} <= set(methods.knobs(name))


def test_keras_takes_the_teacher_first_and_weighs_the_student_with_a_half():
    arguments = inspect.signature(keras.distillation.Distiller).parameters
    assert list(arguments)[:3] == ["teacher", "student", "distillation_losses"]
    assert arguments["student_loss_weight"].default == 0.5
    assert next(iter(inspect.signature(Distiller).parameters)) == "student"


def logits():
    rng = np.random.default_rng(0)
    return rng.normal(0, 3, (8, 5)).astype("float32"), rng.normal(0, 3, (8, 5)).astype("float32")


def test_the_text_kl_divergence_of_keras_is_another_loss(by_hand):
    teacher, student = logits()
    truth = by_hand.kl(teacher, student, 3.0).mean()

    def value(**loss):
        return float(keras.distillation.LogitsDistillation(**loss).compute_loss(teacher, student))

    assert value(loss=keras.losses.KLDivergence()) == pytest.approx(truth, rel=1e-3)
    assert value() == value(loss="kl_divergence")
    assert value() != pytest.approx(truth, rel=0.1)


@pytest.fixture(scope="module")
def pair():
    def make(width):
        stack = [keras.Input((4,)), keras.layers.Dense(width), keras.layers.Dense(5)]
        return keras.Sequential(stack)

    keras.utils.set_random_seed(0)
    return make(3), make(6)


def test_sample_weights_change_nothing_in_keras_and_the_loss_here(pair):
    student, teacher = pair
    x, y = np.ones((8, 4), "float32"), np.arange(8) % 5
    start = student.get_weights()

    def loss(distiller, weights, **compiled):
        student.set_weights(start)
        distiller.compile(keras.optimizers.SGD(0.1), run_eagerly=True, **compiled)
        return float(distiller.train_on_batch(x, y, weights, return_dict=True)["loss"])

    keras_distiller = keras.distillation.Distiller(
        teacher, student, keras.distillation.LogitsDistillation(loss=keras.losses.KLDivergence())
    )
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
    zeros, entropy = np.zeros(8), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    unweighted = loss(keras_distiller, None, loss=entropy)
    assert loss(keras_distiller, zeros, loss=entropy) == pytest.approx(unweighted)
    assert loss(distiller, None) > 0.1
    assert loss(distiller, zeros) == 0
