import math

import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.parts import tap_pairs
from kd_keras.methods.vid import Predictor, vid


def golden(arrays, config):
    student, teacher = tap_pairs.same_size(arrays["student_feature"], arrays["teacher_feature"])
    kernels = [arrays[f"conv_kernel_{i}"] for i in range(3)]
    predictor = Predictor(
        teacher.shape[-1],
        hidden_channels=kernels[0].shape[-1],
        initial_variance=config["init_pred_var"],
    )
    predictor.build(tuple(student.shape))
    state = [(c.kernel, kernel) for c, kernel in zip(predictor.convolutions, kernels, strict=True)]
    with keras.StatelessScope(state_mapping=state):
        return vid(predictor(student), teacher, arrays["log_scale"])


GOLDENS = {"vid": golden}


def test_equals_the_likelihood_by_hand():
    # Error 2, variance 4: (4/4 + ln 4) / 2 = 1.193147 nats; error 0: ln 4 / 2.
    predicted = np.array([2.0, 0.0], "float32").reshape(2, 1, 1, 1)
    scale = np.array([math.log(math.expm1(4 - 1e-5))], "float32")
    result = vid(predicted, np.zeros((2, 1, 1, 1), "float32"), scale)["loss"]
    np.testing.assert_allclose(result, [1.193147, 0.693147], rtol=1e-6)


def test_variance_starts_where_asked():
    predictor = Predictor(3, initial_variance=0.25)
    predictor.build((None, 2, 2, 4))
    np.testing.assert_allclose(np.log1p(np.exp(predictor.log_scale)) + 1e-5, [0.25] * 3, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_teaches_student_and_predictors_in_float16(batch_size, teaches):
    method = methods.get("vid", taps="a+b")
    student, teacher = {"a": (5, 5, 4), "b": (2, 2, 4)}, {"a": (3, 3, 6), "b": (4, 4, 6)}
    method.build_for(*({t: (None, *s) for t, s in m.items()} for m in (student, teacher)))
    rng = np.random.default_rng(0)
    student, teacher = (
        {t: 10 * rng.normal(size=(batch_size, *s)).astype("float16") for t, s in m.items()}
        for m in (student, teacher)
    )
    teaches(method, student, teacher, Batch(labels=np.zeros(batch_size, "int32")))
    assert len(method.trainable_variables) == 8


def test_refuses_a_variance_below_its_floor():
    with pytest.raises(
        ValueError, match=r"initial_variance is 0; expected a finite number > 1e-05"
    ):
        methods.get("vid", initial_variance=0)
