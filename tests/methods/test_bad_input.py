"""What users get wrong is answered in words when the Distiller is made, not in its first step."""

import math
import re

import keras
import numpy as np
import pytest
from keras import layers

from kd_keras import Distiller, methods
from kd_keras.distill.callbacks import stop_on_nan
from kd_keras.losses import softened_kl
from kd_keras.methods.dkd import dkd

READ_TAPS = [name for name in methods.names() if methods.get(name).student_taps]
ONE_RANK = {
    # refuse a map against a vector
    *("ab", "at", "crd", "fitnet", "fsp", "ft", "ickd", "kdsvd", "nst", "ofd", "simkd", "vid"),
    *("embed", "sdd", "wkd_feature"),
}
KNOWN_SIZE = ONE_RANK - {"crd", "embed"} | {"ofa", "reviewkd", "sp"}  # refuse maps of open size
LOGITS_ONLY = [name for name in methods.names() if name not in READ_TAPS]
IMAGES = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
IDS = np.arange(8)


def net(name="net", *, width=4, classes=5, size=8, seed=0, head=None):
    """A classifier with taps stage1_preact, stage1, ..., stage3 and pooled, or of other names."""
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((size, size, 3))
    for i in (1, 2, 3):
        x = layers.Conv2D(width, 3, strides=min(i, 2), padding="same", name=f"conv{i}")(x)
        x = layers.BatchNormalization(name=f"stage{i}_preact")(x)
        x = layers.ReLU(name=f"stage{i}")(x)
    if head is None:
        x = layers.GlobalAveragePooling2D(name="pooled")(x)
    return keras.Model(inputs, (head or layers.Dense(classes, name="logits"))(x), name=name)


@keras.saving.register_keras_serializable(package="test_bad_input")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.convolution, self.dense = layers.Conv2D(4, 3), layers.Dense(5)

    def call(self, inputs, training=None):
        features = keras.ops.relu(self.convolution(inputs))
        logits = self.dense(keras.ops.mean(features, axis=(1, 2)))
        return {"logits": logits, "stage1": features}


def subclassed():
    model = Subclassed(name="subclassed")
    model(IMAGES)
    return model


def naming(name, student, teacher):
    """The method's knobs that make it read these taps alone."""
    count = len(methods.get(name).student_taps)
    knobs = {"tap": student, "student_tap": student, "teacher_tap": teacher}
    knobs |= {"student_taps": (student,) * count, "teacher_taps": (teacher,) * count}
    return {knob: value for knob, value in knobs.items() if knob in methods.knobs(name)}


def new_distiller(student, teacher, method, refusal, **how):
    """The Distiller; None where it is refused in these words, which begin the message."""
    try:
        return Distiller(student, teacher=teacher, methods=method, **how)
    except ValueError as error:
        if not re.match(refusal, str(error)):
            raise
        return None


def step(distiller, classes=5):
    """The loss of one step."""
    distiller.total_steps = 2
    distiller.compile(keras.optimizers.SGD(0.01), run_eagerly=True)
    images = np.stack([IMAGES] * 2, axis=1) if distiller.views_per_image == 2 else IMAGES
    x = {"inputs": images, "id": IDS}
    return distiller.train_on_batch(x, IDS % classes, return_dict=True)["loss"]


@pytest.mark.parametrize("name", READ_TAPS)
def test_taps_that_a_model_lacks_are_answered_with_those_it_has(name, pair):
    foreign = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="one"),
            layers.Conv2D(6, 3, strides=2, name="two"),
            layers.GlobalAveragePooling2D(name="average"),
            layers.Dense(5, name="scores"),
        ],
        name="foreign",
    )
    message = (
        r"one \(None, 6, 6, 4\), two \(None, 2, 2, 6\), average \(None, 6\)\. Name one of them"
    )
    with pytest.raises(
        ValueError, match=rf"model 'foreign' has no tap '\w+'; its last .*: {message}"
    ):
        Distiller(foreign, teacher=foreign, methods=pair.method(name))


def test_taps_are_answered_for_models_of_every_kind():
    inner, fitnet = net("backbone"), methods.get("fitnet")
    nested = keras.Model(inner.input, layers.Dense(5)(inner(inner.input)), name="nested")
    with pytest.raises(ValueError, match=r"'nested' has no .*; near .*backbone/stage2 \(None, 4"):
        Distiller(nested, teacher=inner, methods=fitnet)
    with pytest.raises(ValueError, match=r"'subclassed' has .* stage1 \(None, 6, 6, 4\).* entries"):
        Distiller(subclassed(), teacher=inner, methods=fitnet)
    with pytest.raises(ValueError, match=r"has no tap 'stage2'.*The taps of a Subclassed are the"):
        Distiller(inner, teacher=subclassed(), methods=fitnet)


@pytest.mark.parametrize(
    "knobs",
    [
        {"name": "fitnet", "tap": 3},
        {"name": "at", "taps": 3},
        {"name": "at", "taps": ["a", None]},
        {"name": "sp", "taps": "stage1++stage2"},
        {"name": "crd", "student_tap": 1.0},
        {"name": "uskd", "tap": None},
    ],
    ids=str,
)
def test_taps_that_are_no_names_are_refused(knobs):
    with pytest.raises(ValueError, match=r"taps? is (3|None|1\.0|''); expected a name\. Name"):
        methods.get(knobs["name"], **knobs)


@pytest.mark.parametrize("taps", [("pooled", "stage3"), ("stage3", "pooled")], ids=str)
@pytest.mark.parametrize("name", READ_TAPS)
def test_a_map_against_a_vector_trains_or_is_refused(name, taps, pair):
    method = pair.method(name, **naming(name, *taps))
    refusal = rf"{name}: the (student|teacher)'s tap '\w+' has shape .*; expected .*\. Choose"
    distiller = new_distiller(net(), net(width=6), method, refusal)
    needs_map = name == "ofa" and taps[0] == "pooled"  # of the student alone
    assert (distiller is None) == (name in ONE_RANK or needs_map)
    if distiller is not None:
        assert math.isfinite(step(distiller))


@pytest.mark.parametrize("name", READ_TAPS)
def test_maps_of_open_size_train_or_are_refused(name, pair):
    refusal = rf"{name}: .* has shape \(None, None, None, 4\); expected .* known size\. Choose"
    distiller = new_distiller(net(size=None), net(size=None), pair.method(name), refusal)
    assert (distiller is None) == (name in KNOWN_SIZE)
    if distiller is not None:
        assert math.isfinite(step(distiller))


@pytest.mark.parametrize("name", ["at", "ft", "nst"])
def test_attention_over_one_place_is_refused(name):
    small = net(size=4)
    with pytest.raises(ValueError, match=rf"{name}: .*'stage3' the maps .*pooled to one place"):
        Distiller(small, teacher=small, methods=methods.get(name))


def crd(**knobs):
    return Distiller(net(), teacher=net(), methods=methods.get("crd", negatives=4, **knobs))


def test_crd_says_how_to_give_it_ids():
    with pytest.raises(ValueError, match=r"num_examples is None; .* Give num_examples=len\("):
        crd()
    distiller = crd(num_examples=8)
    distiller.compile()
    with pytest.raises(ValueError, match=r"\{'inputs': …, 'id': …\}, labels\)\. kd_keras\.data"):
        distiller.fit(IMAGES, IDS % 5, batch_size=8, verbose=0)


def test_crd_refuses_ids_out_of_range():
    distiller = crd(num_examples=7)
    with pytest.raises(ValueError, match=r"ids go from 0 to 7; expected 0 to 6\. Set num_examples"):
        step(distiller)
    distiller.compile()
    x = {"inputs": IMAGES, "id": IDS}  # their values are unknown in a compiled step
    with pytest.raises(stop_on_nan.NonFiniteError, match="The loss became nan at step 1"):
        distiller.fit(x, IDS % 5, verbose=0, callbacks=[stop_on_nan.StopOnNaN()])


def test_class_counts_that_differ_are_refused():
    with pytest.raises(ValueError, match="student has 5 classes and the teacher 4; expected the s"):
        Distiller(net(), teacher=net(classes=4), methods=methods.get("kd"))
    with pytest.raises(ValueError, match="peer has 4 classes and the student 5; expected the same"):
        Distiller(net(), methods=methods.get("dml", peers=[net(), net(classes=4)]))
    with pytest.raises(ValueError, match=r"gives one output; .* two classes or more"):
        Distiller(net(classes=1), teacher=net(classes=1), methods=methods.get("kd"))


@pytest.mark.parametrize("name", [*LOGITS_ONLY, "uskd"])
def test_two_classes_teach_or_are_refused(name):
    student = net(classes=2)
    refusal = rf"{name}: the student has 2 classes; expected 3 or more\. Use the method kd"
    method = methods.get(name, warmup=0.0)  # a warm-up starts from a weight of 0
    distiller = new_distiller(student, net(classes=2, seed=1), method, refusal, ce_weight=0.0)
    assert (distiller is None) == (name in ("dist", "dkd", "lskd", "nkd", "uskd", "wkd"))
    if distiller is not None:
        before = student.get_layer("conv1").kernel.numpy()
        assert step(distiller, classes=2) > 0
        assert np.any(student.get_layer("conv1").kernel.numpy() != before)


def test_with_two_classes_dkd_would_be_kd():
    rng = np.random.default_rng(0)
    student, teacher = (rng.normal(size=(8, 2)).astype("float32") for _ in range(2))
    parts = dkd(student, teacher, IDS % 2, temperature=4.0, target_weight=1, nontarget_weight=8)
    np.testing.assert_array_equal(parts["loss_nckd"], np.zeros(8))
    np.testing.assert_allclose(parts["loss"], softened_kl(student, teacher, temperature=4.0), 1e-3)


@pytest.mark.parametrize("name", methods.names())
def test_numbers_that_are_none_are_refused(name):
    cls = type(methods.get(name))
    kinds = {float: "finite", int: "whole"}
    for knob, default in cls.knobs().items():
        wrong = [math.nan, math.inf, "1", True, [1.0]]
        wrong += [-1] if knob in ("weight", "ce_weight", "warmup", "temperature") else []
        for value in wrong if type(default) in kinds else []:
            kind = kinds[type(default)]
            if (knob, value) == ("peers", [1.0]):
                continue  # a list of models is a number of peers
            with pytest.raises(ValueError, match=rf"{knob} is .*; expected a {kind} number"):
                methods.get(name, **{knob: value})


def test_words_are_refused_where_a_knob_is_true_or_false():
    knobs = [
        (name, knob)
        for name in methods.names()
        for knob, default in type(methods.get(name)).knobs().items()
        if isinstance(default, bool)
    ]
    assert ("ft", "paraphraser_batch_norm") in knobs
    for name, knob in knobs:
        with pytest.raises(ValueError, match=rf"{knob} is 'no'; expected one of: False, True"):
            methods.get(name, **{knob: "no"})


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, "1"])
def test_the_distiller_s_own_weight_is_checked_too(value):
    with pytest.raises(ValueError, match=r"ce_weight is .*; expected a finite number >= 0\."):
        Distiller(net(), teacher=net(), methods=methods.get("kd"), ce_weight=value)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ([layers.Conv2D(5, 1), "mean"], "ends in a GlobalAveragePooling2D layer; expected a D"),
        (["mean", layers.Reshape((1, 1, -1)), layers.Conv2D(5, 1), layers.Flatten()], "a Flatten"),
        (["mean", layers.Dense(5, activation="relu")], "a Dense layer with the activation relu"),
        (["mean", layers.LayerNormalization(), layers.Dense(5)], "does not read the mean over"),
        ([layers.GlobalMaxPooling2D(), layers.Dense(5)], "expected no norm, other layer or"),
        (["mean", layers.Dense(7), layers.Dense(5)], "reads 7 features, its tap has 4; expected"),
    ],
    ids=["conv 1x1", "conv and flatten", "relu", "norm", "maximum", "two layers"],
)
@pytest.mark.parametrize("name", ["simkd", "srrl"])
def test_a_teacher_s_classifier_must_be_a_dense_layer_on_the_mean(name, head, message):
    parts = [layers.GlobalAveragePooling2D() if part == "mean" else part for part in head]
    parts = [type(part).from_config(part.get_config()) for part in parts]
    teacher = net("teacher", head=keras.Sequential(parts))
    with pytest.raises(ValueError, match=rf"{name}: the .* 'teacher'.*{message}"):
        Distiller(net(), teacher=teacher, methods=methods.get(name, tap="stage3"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("simkd", "a Subclassed of unknown layers; expected a Dense layer"),
        ("srrl", "a Subclassed of unknown layers; expected a Dense layer"),
        ("ofd", "a Subclassed; expected a Functional or Sequential model, whose batch norms"),
    ],
)
def test_what_reads_the_teacher_s_layers_refuses_unknown_ones(name, message):
    knobs = naming(name, "stage3", "stage1")
    if name == "ofd":
        knobs = {"student_taps": "stage3", "teacher_taps": "stage1"}
    with pytest.raises(ValueError, match=rf"{name}: the teacher 'subclassed' is {message}"):
        Distiller(net(), teacher=subclassed(), methods=methods.get(name, **knobs))


def test_simkd_refuses_a_student_without_known_layers():
    method = methods.get("simkd", student_tap="stage1")
    with pytest.raises(ValueError, match="student 'subclassed' is a Subclassed; expected a Funct"):
        Distiller(subclassed(), teacher=net(), methods=method)
