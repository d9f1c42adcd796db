import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.fitnet import fitnet
from kd_keras.methods.parts import projectors


def golden(arrays, config):
    student, teacher = arrays["student_feature"], arrays["teacher_feature"]
    if config["regressor"] == "none":
        return fitnet(student, teacher)
    regressor = projectors.Regressor(tuple(teacher.shape))
    regressor.build(tuple(student.shape))
    state = [
        (regressor.convolution.kernel, arrays["conv_kernel"]),
        (regressor.convolution.bias, arrays["conv_bias"]),
        (regressor.norm.gamma, arrays["bn_gamma"]),
        (regressor.norm.beta, arrays["bn_beta"]),
    ]
    with keras.StatelessScope(state_mapping=state):
        regressed = regressor(student, training=True)
    return {**fitnet(regressed, teacher), "out_regressed_feature": regressed}


GOLDENS = {"fitnet": golden}


def test_equals_the_mean_by_hand():
    student = np.array([[1.0, 2.0], [0.0, 0.0]], "float32")
    teacher = np.array([[0.0, 0.0], [0.0, 2.0]], "float32")
    np.testing.assert_allclose(fitnet(student, teacher)["loss"], [2.5, 2.0])


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        ((None, 8, 8, 4), (None, 8, 8, 6)),
        ((None, 8, 8, 4), (None, 4, 4, 6)),
        ((None, 4, 4, 4), (None, 8, 8, 6)),
        ((None, 9, 7, 4), (None, 5, 5, 6)),
        ((None, 3, 3, 4), (None, 7, 7, 6)),
        ((None, 4), (None, 6)),
    ],
    ids=str,
)
def test_projects_any_pair_of_shapes(student, teacher):
    method = methods.get("fitnet")
    method.build_for({"stage2": student}, {"stage2": teacher})
    rng = np.random.default_rng(0)
    loss = method(
        student={"stage2": rng.normal(size=(2, *student[1:])).astype("float32")},
        teacher={"stage2": rng.normal(size=(2, *teacher[1:])).astype("float32")},
        batch=Batch(labels=np.zeros(2, "int32")),
    )
    assert loss.shape == (2,)
    assert np.all(np.isfinite(loss))


def test_refuses_a_map_against_a_vector():
    method = methods.get("fitnet", student_tap="pooled")
    with pytest.raises(ValueError, match=r"'pooled' has shape \(None, 8\).*Choose other taps"):
        method.build_for({"pooled": (None, 8)}, {"stage2": (None, 4, 4, 8)})
