import keras
import numpy as np
import pytest

from kd_keras import methods, models
from kd_keras.methods.base import Batch
from kd_keras.methods.ofd import batch_norm_before, margin_of, ofd
from kd_keras.methods.parts import connectors


def golden(arrays, config):
    connected, teachers, margins = [], [], []
    for i in range(config["num_layers"]):
        student, kernel = arrays[f"student_feature_{i}"], arrays[f"connector_conv_kernel_{i}"]
        connect = connectors.connector(
            tuple(student.shape), kernel.shape[-1], kernel_size=kernel.shape[0], name="connector"
        )
        convolution, norm = connect.layers
        state = [
            (convolution.kernel, kernel),
            (norm.gamma, arrays[f"connector_bn_gamma_{i}"]),
            (norm.beta, arrays[f"connector_bn_beta_{i}"]),
        ]
        with keras.StatelessScope(state_mapping=state):
            connected.append(connect(student, training=True))
        teachers.append(arrays[f"teacher_feature_{i}"])
        norm = [arrays[f"teacher_bn_{name}_{i}"] for name in ("gamma", "beta")]
        margins.append(margin_of(*(keras.ops.convert_to_numpy(a) for a in norm)))
    outputs = {f"out_margin_{i}": margin for i, margin in enumerate(margins)}
    return {**ofd(connected, teachers, margins), **outputs}


GOLDENS = {"ofd": golden}


def test_equals_the_squares_by_hand():
    # Margin -1. (s, t): (1, 3) and (-5, 3) count 4 and 64; (-2, -4) lies below; (0, -4) counts 1.
    student = np.array([1.0, -5.0, -2.0, 0.0], "float32").reshape(1, 2, 2, 1)
    teacher = np.array([3.0, 3.0, -4.0, -4.0], "float32").reshape(1, 2, 2, 1)
    margin = np.array([-1.0], "float32")
    np.testing.assert_allclose(ofd([student], [teacher], [margin])["loss"], [69.0])
    twice = ofd([student, student], [teacher, teacher], [margin, margin])["loss"]
    np.testing.assert_allclose(twice, [1.5 * 69.0])


def test_margin_is_the_mean_of_what_is_negative():
    # Half a normal: -sqrt(2 / pi). Ten deviations up: -3 deviations. No deviation: its mean or 0.
    result = margin_of([1, -2, 0.5, 0, 0, 0], [0, 0, 5, -2, 2, 0])
    np.testing.assert_allclose(result, [-0.797885, -1.595769, -1.5, -2, 0, 0], rtol=1e-6)
    draws = np.random.default_rng(0).normal(0.3, 0.7, 400_000)
    np.testing.assert_allclose(margin_of([0.7], [0.3]), [draws[draws < 0].mean()], rtol=1e-2)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_teaches_student_and_connectors_in_float16(batch_size, teaches):
    method = methods.get("ofd", taps="a+b")
    student, teacher = {"a": (5, 5, 4), "b": (2, 2, 4)}, {"a": (3, 3, 6), "b": (4, 4, 6)}
    method.build_for(*({t: (None, *s) for t, s in m.items()} for m in (student, teacher)))
    rng = np.random.default_rng(0)
    student, teacher = (
        {t: rng.normal(size=(batch_size, *s)).astype("float16") for t, s in m.items()}
        for m in (student, teacher)
    )
    teaches(method, student, teacher, Batch(labels=np.zeros(batch_size, "int32")))
    assert len(method.trainable_variables) == 6


def zoo(name):
    return models.get(name, num_classes=3, input_shape=(16, 16, 3), width=0.25)


@pytest.mark.parametrize(
    ("name", "tap", "expected"),
    [
        ("wrn_16_1", "stage2_preact", "stage2_preact"),
        ("vgg8", "stage2_preact", "stage2_preact"),
        ("resnet14", "stage2_preact", "stage2_block2_2"),
        ("resnet8", "stage2_preact", "stage2_block1_2"),  # both branches end in a batch norm
        ("mobilenetv2", "stage3_preact", "row5_block3_project"),
    ],
)
def test_finds_the_batch_norm_before_a_tap(name, tap, expected):
    model = zoo(name)
    assert batch_norm_before(model, tap) is model.get_layer(expected)


def test_finds_the_main_branch_whatever_its_place_and_nesting():
    inputs = keras.Input((4, 4, 2))
    norm, shortcut = (keras.layers.BatchNormalization(name=n) for n in ("main", "shortcut"))
    main = norm(keras.layers.Conv2D(2, 3, padding="same")(keras.layers.ReLU()(inputs)))
    body = keras.Model(inputs, keras.layers.Add(name="sum")([main, shortcut(inputs)]), name="body")
    outer = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(body(inputs)))
    assert batch_norm_before(outer, "body/sum") is norm


def test_takes_its_margins_from_the_teacher():
    teacher = zoo("resnet14")
    norm = teacher.get_layer("stage2_block2_2")
    norm.beta.assign(np.full(norm.beta.shape, 0.5, "float32"))
    method = methods.get("ofd", taps="stage2_preact")
    shape = {"stage2_preact": teacher.get_layer("stage2_preact").output.shape}
    method.build_for(shape, shape)
    method.attach(teacher, teacher)
    expected = margin_of(*(keras.ops.convert_to_numpy(v) for v in (norm.gamma, norm.beta)))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(method.margins[0]), expected)
    assert not method.margins[0].trainable


@pytest.mark.parametrize(("name", "tap"), [("plain_cnn4", "stage2_preact"), ("vgg8", "stage2")])
def test_refuses_a_teacher_without_that_batch_norm(name, tap):
    with pytest.raises(ValueError, match=f"tap '{tap}' is the output of a .*before the ReLU"):
        batch_norm_before(zoo(name), tap)
