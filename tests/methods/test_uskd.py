import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.uskd import nontarget_labels, target_weights, uskd


def golden(arrays, config):
    method = methods.get(
        "uskd",
        target_weight=config["alpha"],
        nontarget_weight=config["beta"],
        weak_weight=config["mu"],
    )
    student = {"logits": arrays["student_logits"], "pooled": arrays["student_feature"]}
    method.build_for({name: tuple(value.shape) for name, value in student.items()}, {})
    head = method.weak_head
    state = [(head.kernel, arrays["fc_kernel"]), (head.bias, arrays["fc_bias"])]
    labels = arrays.get("soft_labels", arrays.get("labels"))
    with keras.StatelessScope(state_mapping=state):
        return {"loss": method(student=student, teacher={}, batch=Batch(labels))}


GOLDENS = {"uskd": golden}
# The part of the target falls by the cross-entropy alone; the weak head is the method's own.
CONTRACT = {"weak_weight": 1.0}


def outputs(batch_size, scale=1.0):
    rng = np.random.default_rng(0)
    return {
        "logits": rng.normal(size=(batch_size, 4), scale=scale).astype("float16"),
        "pooled": rng.normal(size=(batch_size, 3)).astype("float16"),
    }


def test_target_weights_by_hand():
    # p 1/2 and 1/4: p^2 = 1/4, 1/16, mean 5/32; a label of 0 is not a target.
    p, ones = np.array([[0.5], [0.25]], "float32"), np.ones((2, 1), "float32")
    np.testing.assert_allclose(target_weights(p, ones), [[1 + 3 / 32], [1 - 3 / 32]])
    np.testing.assert_allclose(target_weights(p, 0 * ones), [[0], [0]])


def test_nontarget_labels_are_zipfs_without_the_target():
    # Weak and strong rank the classes 2, 0 (target), 3, 1: 1, 1/3, 1/4 over their sum 19/12.
    p = np.array([[0.3, 0.1, 0.4, 0.2]], "float32")
    result = nontarget_labels(np.log(p), p, np.array([[True, False, False, False]]))
    np.testing.assert_allclose(result, np.array([[0, 3, 12, 4]]) / 19, rtol=1e-6)


def test_equals_the_sum_by_hand():
    # Uniform student and weak head, one example, three classes: the batch mean takes p^2 away, so
    # the target's part is ln 3, that of the others ln 2, that of the weak head ln 3.
    zeros = np.zeros((1, 3), "float32")
    result = uskd(
        zeros, zeros, np.array([1]), target_weight=1.0, nontarget_weight=0.5, weak_weight=0.1
    )
    np.testing.assert_allclose(result["loss"], [1.1 * np.log(3) + 0.5 * np.log(2)], rtol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_teaches_student_and_weak_head_in_float16(batch_size, scale, teaches):
    method = methods.get("uskd")
    method.build_for({"logits": (None, 4), "pooled": (None, 3)}, {})
    batch = Batch(np.zeros(batch_size, "int32"))
    teaches(method, outputs(batch_size, scale), {}, batch)
    assert len(method.trainable_variables) == 2


def test_one_hot_probabilities_are_finite(loss_and_gradients):
    method = methods.get("uskd")
    method.build_for({"logits": (None, 4), "pooled": (None, 3)}, {})
    batch = Batch(np.eye(4, dtype="float32")[:3])
    loss, gradients = loss_and_gradients(method, outputs(3), {}, batch)
    assert loss.shape == (3,)
    assert all(np.all(np.isfinite(g)) for g in gradients.values())


def test_averages_a_feature_map():
    method = methods.get("uskd", tap="stage2")
    method.build_for({"logits": (None, 4), "stage2": (None, 2, 2, 3)}, {})
    student = {**outputs(2), "stage2": np.ones((2, 2, 2, 3), "float32")}
    assert method(student=student, teacher={}, batch=Batch(np.zeros(2, "int32"))).shape == (2,)


def test_refuses_what_it_cannot_rank():
    with pytest.raises(ValueError, match=r"uskd: the student has 2 classes"):
        methods.get("uskd").build_for({"logits": (None, 2), "pooled": (None, 3)}, {})
    with pytest.raises(
        ValueError, match=r"tap 'pooled' has shape \(None, 5, 3\); expected \(B, D\)"
    ):
        methods.get("uskd").build_for({"logits": (None, 4), "pooled": (None, 5, 3)}, {})


@pytest.mark.parametrize("knob", ["target_weight", "nontarget_weight", "weak_weight"])
def test_refuses_bad_knobs(knob):
    with pytest.raises(ValueError, match=f"{knob} is -1; expected a finite number"):
        methods.get("uskd", **{knob: -1})
