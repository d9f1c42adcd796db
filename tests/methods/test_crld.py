import numpy as np
import pytest

from kd_keras import losses, methods
from kd_keras.methods.base import Batch
from kd_keras.methods.crld import confident, crld


def golden(arrays, config):
    student = arrays["student_logits_weak"], arrays["student_logits_strong"]
    parts = crld(
        *student,
        arrays["teacher_logits_weak"],
        arrays["teacher_logits_strong"],
        temperature=config["temperature"],
        within_weight=config["within_view_weight"],
        cross_weight=config["cross_view_weight"],
        weak_threshold=config["weak_threshold"],
        strong_threshold=config["strong_threshold"],
    )
    ce = sum(losses.cross_entropy(arrays["labels"], logits) for logits in student)
    return {**parts, "loss_ce": config["ce_weight"] * ce}


GOLDENS = {"crld": golden}


def views(seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(3, 4)).astype("float32") for _ in range(2)]


def test_confidence_is_the_largest_probability():
    logits = np.log(np.array([[3.0, 1.0], [2.0, 2.0]], "float32"))
    np.testing.assert_array_equal(confident(logits, 0.7), [True, False])


def test_each_mask_gates_both_of_its_pairs():
    student, teacher = views(0), views(1)
    teacher[0][0] *= 100  # confident on the weak view in the first example alone
    teacher[1][1] *= 100  # and on the strong view in the second
    knobs = {"temperature": 2.0, "weak_threshold": 0.99, "strong_threshold": 0.99}
    result = crld(*student, *teacher, within_weight=3.0, cross_weight=5.0, **knobs)

    def kd(s, t):
        return np.asarray(losses.softened_kl(student[s], teacher[t], temperature=2.0))

    within, cross = 3 * (kd(0, 0) + kd(1, 1)), 5 * (kd(1, 0) + kd(0, 1))
    np.testing.assert_allclose(result["loss_wv"], within * [1, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(result["loss_cv"], cross * [0, 1, 0], rtol=1e-5)
    np.testing.assert_allclose(result["loss"], within * [1, 0, 0] + cross * [0, 1, 0], rtol=1e-5)


def test_is_zero_where_all_views_are_equal():
    view = views(0)[0]
    same = {"logits": view, "logits_view2": view}
    result = methods.get("crld")(student=same, teacher=same, batch=Batch(np.zeros(3)))
    np.testing.assert_allclose(result, np.zeros(3), atol=1e-5)


@pytest.mark.parametrize(
    ("knob", "message"),
    [
        ({"temperature": 0}, "temperature is 0; expected a finite number > 0"),
        ({"weak_threshold": 1.5}, "weak_threshold is 1.5; expected a finite number >= 0 and <= 1"),
        ({"cross_weight": -1}, "cross_weight is -1; expected a finite number >= 0"),
    ],
    ids=str,
)
def test_refuses_bad_knobs(knob, message):
    with pytest.raises(ValueError, match=message):
        methods.get("crld", **knob)
