import subprocess
import sys

import keras
import numpy as np
import pytest

from kd_keras import methods, models
from kd_keras.methods import simkd as simkd_module
from kd_keras.methods.base import Batch
from kd_keras.methods.parts import tap_pairs, teacher_classifier
from kd_keras.methods.parts.teacher_classifier import pooled
from kd_keras.methods.simkd import simkd


def golden(arrays, config):
    student, teacher = tap_pairs.same_size(arrays["student_feature"], arrays["teacher_feature"])
    parts = simkd_module.projector(tuple(student.shape), teacher.shape[-1], config["factor"])
    classifier = teacher_classifier.frozen_classifier(*arrays["teacher_fc_kernel"].shape)
    state = [
        (classifier.kernel, arrays["teacher_fc_kernel"]),
        (classifier.bias, arrays["teacher_fc_bias"]),
    ]
    for i, part in enumerate(parts):
        convolution, norm, _ = part.layers
        state += [
            (convolution.kernel, arrays[f"projector_conv_kernel_{i}"]),
            (norm.gamma, arrays[f"projector_bn_gamma_{i}"]),
            (norm.beta, arrays[f"projector_bn_beta_{i}"]),
        ]
    with keras.StatelessScope(state_mapping=state):
        projected = simkd_module.project(parts, student, training=True)
        logits = classifier(pooled(projected))
    return {
        **simkd(projected, teacher),
        "out_projected_feature": projected,
        "out_logits": logits,
    }


GOLDENS = {"simkd": golden}


def test_equals_the_mean_by_hand():
    student = np.array([[3.0, 0.0], [1.0, 1.0]], "float32").reshape(2, 1, 1, 2)
    teacher = np.ones_like(student)
    np.testing.assert_allclose(simkd(student, teacher)["loss"], [(4 + 1) / 2, 0.0])


@pytest.mark.parametrize("batch_size", [1, 2])
def test_teaches_student_and_projector_in_float16(batch_size, teaches):
    method = methods.get("simkd", tap="last")
    shapes = (5, 5, 4), (3, 3, 6)
    method.build_for(*({"last": (None, *s), "logits": (None, 7)} for s in shapes))
    rng = np.random.default_rng(0)
    student, teacher = (
        {"last": rng.normal(size=(batch_size, *s)).astype("float16")} for s in shapes
    )
    teaches(method, student, teacher, Batch(labels=np.zeros(batch_size, "int32")))
    assert len(method.trainable_variables) == 9


def pair(student_size=(8, 8), teacher_stride=1):
    student = models.get("resnet8", num_classes=5, input_shape=(*student_size, 3), width=0.25)
    teacher = models.get(
        "resnet8", num_classes=5, input_shape=(*student_size, 3), stem_stride=teacher_stride
    )
    return student, teacher


def attached(student, teacher, **knobs):
    method = methods.get("simkd", **knobs)
    shapes = [
        {"logits": m.output_shape, "stage3": m.get_layer("stage3").output.shape}
        for m in (student, teacher)
    ]
    method.build_for(*shapes)
    method.attach(student, teacher)
    return method


@pytest.mark.parametrize(
    ("student_size", "teacher_stride"), [((8, 8), 1), ((8, 8), 2), ((20, 12), 2)], ids=str
)
def test_deploys_what_it_trains(student_size, teacher_stride):
    student, teacher = pair(student_size, teacher_stride)
    method = attached(student, teacher)
    deployed = method.deployed(student)
    images = np.random.default_rng(0).uniform(0, 255, (2, *student_size, 3)).astype("float32")
    features = keras.Model(student.input, student.get_layer("stage3").output)(images)
    features, _ = tap_pairs.same_size(features, np.zeros((2, *method.size, 64), "float32"))
    projected = simkd_module.project(method.projector, features, training=False)
    expected = pooled(projected) @ teacher.get_layer("logits").kernel
    np.testing.assert_allclose(deployed(images), expected, rtol=1e-3, atol=1e-5)
    # It follows the training, since the weights are the very same.
    method.projector[2].layers[1].beta.assign_add(np.ones(64, "float32"))
    assert np.abs(deployed(images) - expected).max() > 0.1


def test_what_is_deployed_loads_without_this_package(tmp_path):
    student, teacher = pair((20, 12), 2)
    deployed = attached(student, teacher).deployed(student)
    images = np.full((1, 20, 12, 3), 100, "float32")
    deployed.save(tmp_path / "deployed.keras")
    np.save(tmp_path / "expected.npy", deployed(images))
    code = (
        "import sys, numpy, keras\n"
        f"model = keras.models.load_model(r'{tmp_path}/deployed.keras')\n"
        "got = model(numpy.full((1, 20, 12, 3), 100, 'float32'))\n"
        f"numpy.testing.assert_allclose(got, numpy.load(r'{tmp_path}/expected.npy'), atol=1e-5)\n"
        "assert 'kd_keras' not in sys.modules\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_refuses_a_map_that_is_not_the_last():
    student, _ = pair()
    teacher = models.get("resnet18", num_classes=5, input_shape=(16, 16, 3), width=0.25)
    wide = keras.Model(
        teacher.input,
        keras.layers.Dense(5)(
            keras.layers.GlobalAveragePooling2D()(teacher.get_layer("stage3").output)
        ),
    )
    with pytest.raises(ValueError, match="reads 128 features, its tap has 64"):
        attached(student, teacher)
    with pytest.raises(ValueError, match=r"student's tap 'stage3' is followed by .*'stage4'"):
        attached(teacher, wide)


def test_refuses_a_teacher_whose_classifier_is_no_dense_layer():
    student, teacher = pair()
    x = keras.layers.Conv2D(5, 1)(teacher.get_layer("stage3").output)
    x = keras.layers.GlobalAveragePooling2D()(x)
    with pytest.raises(
        ValueError, match="ends in a GlobalAveragePooling2D layer; expected a Dense"
    ):
        attached(student, keras.Model(teacher.input, x))
