import math

import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.nkd import nkd


def golden(arrays, config):
    return nkd(
        arrays["student_logits"],
        arrays["teacher_logits"],
        arrays.get("soft_labels", arrays.get("labels")),
        temperature=config["temperature"],
        nontarget_weight=config["gamma"],
    )


GOLDENS = {"nkd": golden}


def logits(batch_size, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch_size, 4), scale=scale).astype("float32")


def test_equals_the_sum_by_hand():
    # Teacher (1/2, 1/3, 1/6), student uniform, target 0: 1/2 ln 3 for the target; the others'
    # (2/3, 1/3) against (1/2, 1/2): ln 2.
    teacher = np.log(np.array([[3.0, 2.0, 1.0]], "float32"))
    student = np.zeros((1, 3), "float32")
    result = nkd(student, teacher, np.array([0]), temperature=1.0, nontarget_weight=1.5)["loss"]
    np.testing.assert_allclose(result, [math.log(3) / 2 + 1.5 * math.log(2)], rtol=1e-6)
    # Hotter, the teacher's others change but the student's stay uniform: only T^2 shows.
    result = nkd(student, teacher, np.array([0]), temperature=2.0, nontarget_weight=1.5)["loss"]
    np.testing.assert_allclose(result, [math.log(3) / 2 + 6 * math.log(2)], rtol=1e-6)


def test_label_probabilities_count_as_their_largest():
    arguments = {"temperature": 1.0, "nontarget_weight": 1.5}
    soft = np.array([[0.1, 0.2, 0.7, 0]], "float32")
    one = nkd(logits(1), logits(1, 1), soft, **arguments)["loss"]
    other = nkd(logits(1), logits(1, 1), np.array([[2]]), **arguments)["loss"]
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_teaches_the_student_in_float16(batch_size, scale, teaches):
    method = methods.get("nkd")
    method.build_for({"logits": (None, 4)}, {"logits": (None, 4)})
    student = {"logits": logits(batch_size, scale=scale).astype("float16")}
    teacher = {"logits": logits(batch_size, 1, scale).astype("float16")}
    teaches(method, student, teacher, Batch(labels=np.zeros(batch_size, "int32")))


def test_refuses_two_classes():
    with pytest.raises(
        ValueError, match=r"nkd: the student has 2 classes; expected 3 or more\. Use the method kd"
    ):
        methods.get("nkd").build_for({"logits": (None, 2)}, {"logits": (None, 2)})


@pytest.mark.parametrize("knob", ["temperature", "nontarget_weight"])
def test_refuses_bad_knobs(knob):
    with pytest.raises(ValueError, match=f"{knob} is -1; expected a finite number"):
        methods.get("nkd", **{knob: -1})
