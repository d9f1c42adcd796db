import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.ickd import ickd
from kd_keras.methods.parts import connectors


def golden(arrays, config):
    student, teacher = arrays["student_feature"], arrays["teacher_feature"]
    if "embed_conv_kernel" not in arrays:
        return ickd(student, teacher)
    kernel = arrays["embed_conv_kernel"]
    embed = connectors.connector(
        tuple(student.shape), kernel.shape[-1], kernel_size=kernel.shape[0], name="embedding"
    )
    convolution, norm = embed.layers
    state = [
        (convolution.kernel, kernel),
        (norm.gamma, arrays["embed_bn_gamma"]),
        (norm.beta, arrays["embed_bn_beta"]),
    ]
    with keras.StatelessScope(state_mapping=state):
        return ickd(embed(student, training=True), teacher)


GOLDENS = {"ickd": golden}


def test_equals_the_distance_by_hand():
    # One example of two places: channels (1, 0) and (0, 1) against (1, 0) and (1, 0).
    # Rows (1, 0), (0, 1) against (1, 1)/sqrt 2 twice: |difference|^2 = 2 * (2 - 2/sqrt 2).
    student = np.array([[[[1.0, 0.0], [0.0, 1.0]]]], "float32")
    teacher = np.array([[[[1.0, 1.0], [0.0, 0.0]]]], "float32")
    result = ickd(student, teacher)["loss"]
    np.testing.assert_allclose(result, 2 * (2 - 2**0.5) / 2, rtol=1e-6)


def test_is_zero_at_equality_and_blind_to_scale_and_size():
    features = np.random.default_rng(0).normal(size=(3, 4, 4, 5)).astype("float32")
    assert float(ickd(7 * features, features)["loss"]) < 1e-10
    twice = np.repeat(np.repeat(features, 2, axis=1), 2, axis=2)
    assert float(ickd(twice, features)["loss"]) < 1e-10


@pytest.mark.parametrize("batch_size", [1, 3])
def test_teaches_student_and_embedding_in_float16(batch_size, teaches):
    method = methods.get("ickd", taps="stage2")
    method.build_for({"stage2": (None, 4, 4, 3)}, {"stage2": (None, 2, 2, 5)})
    rng = np.random.default_rng(0)
    features = rng.normal(size=(batch_size, 4, 4, 3)).astype("float16")
    features[0, ..., 0] = 0
    teaches(
        method,
        {"logits": np.zeros((batch_size, 2), "float32"), "stage2": features},
        {"stage2": rng.normal(size=(batch_size, 2, 2, 5)).astype("float16")},
        Batch(labels=np.zeros(batch_size, "int32")),
    )
    assert len(method.trainable_variables) == 3


@pytest.mark.parametrize(
    ("taps", "message"),
    [
        ({"taps": "pooled"}, r"'pooled' has shape \(None, 8\); expected a feature map"),
        ({"student_taps": "stage1+stage2"}, r"as many of each.*Name them in pairs"),
    ],
)
def test_refuses_taps_that_are_no_pairs_of_maps(taps, message):
    with pytest.raises(ValueError, match=message):
        methods.get("ickd", **taps).build_for({"pooled": (None, 8)}, {"pooled": (None, 8)})
