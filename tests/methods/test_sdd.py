import keras
import numpy as np
import pytest
from keras import layers, ops

from kd_keras import losses, methods
from kd_keras.methods.base import Batch
from kd_keras.methods.parts import nontarget
from kd_keras.methods.sdd import cell_features, cell_weights, sdd


def golden(arrays, config):
    scales = tuple(config["scales"])

    def cells(whose, scales):
        features = cell_features(arrays[f"{whose}_feature"], scales)
        return ops.matmul(features, arrays[f"{whose}_fc_kernel"]) + arrays[f"{whose}_fc_bias"]

    student, teacher, full_logits = (
        cells("student", scales),
        cells("teacher", scales),
        cells("teacher", (1,)),
    )

    def loss(base_method, temperature, target_weight=1.0, nontarget_weight=1.0):
        return sdd(
            student,
            teacher,
            full_logits,
            arrays["labels"],
            base_method=base_method,
            complementary_weight=config["complementary_weight"],
            temperature=temperature,
            target_weight=target_weight,
            nontarget_weight=nontarget_weight,
        )["loss"]

    of_nkd = config["nkd_temperature"], 1.0, config["nkd_gamma"]
    # The published code keeps the label's class in nkd's non-target part.
    t = config["nkd_temperature"]
    trust = nontarget.target_mask(ops.repeat(arrays["labels"], student.shape[1]), student.shape[-1])
    trust = ops.reshape(trust, student.shape)
    p = ops.sum(ops.where(trust, ops.softmax(teacher), 0.0), axis=-1)
    own = ops.sum(ops.where(trust, ops.log_softmax(student), 0.0), axis=-1)
    every = ops.sum(ops.softmax(teacher / t) * ops.log_softmax(student / t), axis=-1)
    as_coded = -p * own - config["nkd_gamma"] * t**2 * every
    weights = cell_weights(teacher, full_logits, arrays["labels"], config["complementary_weight"])
    return {
        "loss": loss("kd", config["temperature"]),
        "loss_dkd": loss("dkd", config["dkd_temperature"], config["dkd_alpha"], config["dkd_beta"]),
        "loss_nkd": ops.mean(weights * as_coded, axis=-1),
        "loss_nkd_as_paper": loss("nkd", *of_nkd),
        "out_student_cell_logits": student,
    }


GOLDENS = {"sdd": golden}


def test_cells_are_means_of_the_sixteen_row_by_row():
    features = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    result = np.asarray(cell_features(features, (1, 2)))[0, :, 0]
    np.testing.assert_allclose(result, [7.5, 2.5, 4.5, 10.5, 12.5])


def test_complementary_cells_count_more():
    right, wrong = [1.0, 0.0], [0.0, 1.0]
    cells = np.array([[right, wrong], [right, wrong]], "float32")
    full_logits = np.array([[right], [wrong]], "float32")
    result = cell_weights(cells, full_logits, np.array([0, 0], "int32"), 2.0)
    np.testing.assert_array_equal(result, [[1, 2], [2, 1]])


def net(name, *, width=3, head=None):
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(width, 3, padding="same", activation="relu", name="stage3")(inputs)
    x = layers.GlobalAveragePooling2D()(x) if head is None else head(x)
    return keras.Model(inputs, layers.Dense(4, name="logits")(x), name=name)


def features(model, images):
    return keras.Model(model.input, model.get_layer("stage3").output)(images)


def test_the_whole_image_alone_is_kd_and_follows_the_student_s_classifier():
    student, teacher = net("student"), net("teacher", width=5)
    method = methods.get("sdd", scales=(1,))
    shapes = [{"stage3": (None, 8, 8, width), "logits": (None, 4)} for width in (3, 5)]
    method.build_for(*shapes)
    method.attach(student, teacher)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype("float32")
    outputs = [{"stage3": features(model, images)} for model in (student, teacher)]

    def check():
        loss = method(student=outputs[0], teacher=outputs[1], batch=Batch(np.array([0, 1])))
        expected = losses.softened_kl(student(images), teacher(images), temperature=4.0)
        np.testing.assert_allclose(loss, expected, rtol=1e-3, atol=1e-6)

    check()
    student.get_layer("logits").bias.assign([1.0, 0, 0, -1])
    check()
    assert not any(v is student.get_layer("logits").bias for v in method.variables)


def test_refuses_a_student_whose_classifier_reads_something_else():
    method = methods.get("sdd")
    shapes = {"stage3": (None, 8, 8, 3), "logits": (None, 4)}
    method.build_for(shapes, shapes)
    with pytest.raises(
        ValueError, match=r"sdd: the classifier of student 'student' does not .*over"
    ):
        method.attach(net("student", head=layers.GlobalMaxPooling2D()), net("teacher"))


@pytest.mark.parametrize(
    ("knob", "message"),
    [
        ({"base_method": "rkd"}, "base_method is 'rkd'; expected one of"),
        ({"scales": (1, 3)}, r"scales is \(1, 3\); expected one or more of 1, 2 and 4"),
        ({"scales": ([1], 2)}, r"scales is \(\[1\], 2\); expected one or more of 1, 2 and 4"),
        ({"scales": (1, True)}, r"scales is \(1, True\); expected one or more of 1, 2 and 4"),
        ({"scales": (1.0, 2)}, r"scales is \(1\.0, 2\); expected one or more of 1, 2 and 4"),
        ({"scales": ()}, r"scales is \(\); expected one or more of 1, 2 and 4"),
        ({"temperature": 0}, "temperature is 0; expected a finite number > 0"),
    ],
    ids=str,
)
def test_refuses_bad_knobs(knob, message):
    with pytest.raises(ValueError, match=message):
        methods.get("sdd", **knob)
