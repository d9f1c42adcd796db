import keras
import numpy as np
import pytest
from keras import ops

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.ft import Stack, ft, reconstruction


def run(part, features, arrays, config, *, batch_norm, transposed=False):
    """The stack whose arrays are named after `part`, on `features`."""
    kernels = [arrays[f"{part}_conv_kernel_{i}"] for i in range(3)]
    stack = Stack(
        tuple(k.shape[2 if transposed else 3] for k in kernels),
        transposed=transposed,
        batch_norm=batch_norm,
        negative_slope=config["leaky_relu_slope"],
    )
    stack.build(tuple(features.shape))
    state = []
    for i, (convolution, kernel) in enumerate(zip(stack.convolutions, kernels, strict=True)):
        state += [(convolution.kernel, kernel), (convolution.bias, arrays[f"{part}_conv_bias_{i}"])]
    for i, norm in enumerate(stack.norms):
        state += [(norm.gamma, arrays[f"{part}_bn_gamma_{i}"])]
        state += [(norm.beta, arrays[f"{part}_bn_beta_{i}"])]
    with keras.StatelessScope(state_mapping=state):
        return stack(features, training=True)


def golden(arrays, config):
    student, teacher = arrays["student_feature"], arrays["teacher_feature"]
    powers = {"map_exponent": config["p1"], "difference_exponent": config["p2"]}
    if not config["uses_translator_and_paraphraser"]:
        return ft(student, teacher, **powers)
    paraphraser = {"batch_norm": config["paraphraser_bn"]}
    student_output = run("translator", student, arrays, config, batch_norm=config["translator_bn"])
    teacher_output = run("paraphraser_encoder", teacher, arrays, config, **paraphraser)
    rebuilt = run(
        "paraphraser_decoder", teacher_output, arrays, config, transposed=True, **paraphraser
    )
    return {
        **ft(student_output, teacher_output, **powers),
        "loss_paraphraser": reconstruction(rebuilt, teacher),
        "out_student_factor": student_output,
        "out_teacher_factor": teacher_output,
    }


GOLDENS = {"ft": golden}


@pytest.fixture
def method():
    method = methods.get("ft", tap="a")
    method.build_for({"a": (None, 6, 6, 3)}, {"a": (None, 4, 4, 8)})
    return method


def features(batch_size, dtype="float32"):
    rng = np.random.default_rng(0)
    student = {"a": rng.normal(size=(batch_size, 6, 6, 3)).astype(dtype)}
    return student, {"a": rng.normal(size=(batch_size, 4, 4, 8)).astype(dtype)}


def test_equals_the_mean_by_hand():
    # Squares (9, 16) and (1, 0) made unit: (9, 16)/sqrt(337) against (1, 0), absolute or squared.
    student = np.array([3.0, -4.0], "float32").reshape(1, 2, 1, 1)
    teacher = np.array([2.0, 0.0], "float32").reshape(1, 2, 1, 1)
    offs = np.array([1 - 9 / 337**0.5, 16 / 337**0.5])
    np.testing.assert_allclose(ft(student, teacher)["loss"], [offs.mean()], rtol=1e-6)
    result = ft(student, teacher, difference_exponent=2)["loss"]
    np.testing.assert_allclose(result, [(offs**2).mean()], rtol=1e-6)
    np.testing.assert_allclose(ft(student, 2 * student)["loss"], [0.0], atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_main_stage_trains_student_and_translator_alone(method, batch_size, loss_and_gradients):
    batch = Batch(labels=np.zeros(batch_size, "int32"))
    loss, gradients = loss_and_gradients(method, *features(batch_size, "float16"), batch)
    assert loss.shape == (batch_size,)
    assert np.all(np.isfinite(loss))
    trained = {id(v) for v in method.translator.trainable_variables}
    for variable in method.trainable_variables:
        gradient = gradients["part", variable.path]
        assert np.all(np.isfinite(gradient))
        assert np.any(gradient) == (id(variable) in trained), variable.path
    assert np.any(gradients["student", "a"])
    assert not np.any(gradients["teacher", "a"])


def test_first_stage_trains_the_paraphraser_alone(method, loss_and_gradients, monkeypatch):
    monkeypatch.setattr(method, "call", method.first_stage_call)
    batch = Batch(labels=np.zeros(3, "int32"))
    loss, gradients = loss_and_gradients(method, *features(3), batch)
    _, teacher = features(3)
    rebuilt = method.decoder(method.encoder(ops.convert_to_tensor(teacher["a"])))
    np.testing.assert_allclose(loss, np.mean((rebuilt - teacher["a"]) ** 2, axis=(1, 2, 3)), 1e-5)
    trained = {id(v) for part in (method.encoder, method.decoder) for v in part.variables}
    for variable in method.trainable_variables:
        moved = np.any(gradients["part", variable.path])
        assert moved == (id(variable) in trained), variable.path
    assert not np.any(gradients["student", "a"])


def test_factors_have_a_share_of_the_teachers_channels(method):
    assert method.translator.widths == (3, 4, 4)
    assert method.encoder.widths == (8, 4, 4)
    assert method.decoder.widths == (4, 8, 8)


def test_refuses_vectors_and_a_rate_of_zero():
    with pytest.raises(ValueError, match=r"'a' has shape \(None, 8\); expected a feature map"):
        methods.get("ft", tap="a").build_for({"a": (None, 8)}, {"a": (None, 8)})
    with pytest.raises(ValueError, match="paraphrase_rate is 0; expected a finite number > 0"):
        methods.get("ft", paraphrase_rate=0)
