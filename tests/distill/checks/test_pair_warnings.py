"""Warnings of pairs that train, but not as meant; warnings of the package are errors elsewhere."""

import re

import keras
import numpy as np
import pytest
from keras import layers

from kd_keras import Distiller, methods


def classifier(name="student", *before, width=2, dtype=None, policy="float32"):
    keras.config.set_dtype_policy(policy)
    try:
        x = inputs = keras.Input((8, 8, 3))
        for layer in before:
            x = layer(x)
        x = layers.GlobalAveragePooling2D()(layers.Conv2D(width, 3)(x))
        return keras.Model(inputs, layers.Dense(5, dtype=dtype)(x), name=name)
    finally:
        keras.config.set_dtype_policy("float32")


def distil(student, teacher=None, **how):
    return Distiller(student, teacher=teacher or classifier("teacher", width=3), **how)


def test_a_student_larger_than_its_teacher_is_warned_of():
    large = classifier("large", width=4)
    with pytest.warns(
        UserWarning, match=r"'large' has 137 parameters, more than .* 104\."
    ) as warned:
        distil(large, methods=methods.get("kd"))
    assert warned[0].filename == __file__  # the line that made the Distiller, not one of ours
    distil(classifier(), methods=methods.get("kd"))
    distil(classifier("equal", width=3), methods=methods.get("kd"))


@pytest.mark.parametrize(
    "layer",
    [layers.RandomFlip, lambda: layers.RandomRotation(0.1), layers.RandAugment],
    ids=["flip", "rotation", "policy"],
)
def test_a_student_that_augments_inside_itself_is_warned_of_once(layer):
    augmenting = layer()
    nested = keras.Sequential([keras.Input((8, 8, 3)), augmenting], name="augmentation")
    message = rf"student 'student' changes its images at random .*\({augmenting.name}[,)].*dataset"
    for student in (classifier("student", augmenting), classifier("student", nested)):
        with pytest.warns(UserWarning, match=message) as caught:
            distil(student, methods=methods.get("kd"))
        assert len(caught) == 1
        assert re.search(r"Augment in the dataset instead: dataset\.map", str(caught[0].message))
    Distiller(classifier("alone", augmenting))  # without a teacher nobody else sees the images


def test_layers_that_change_every_image_alike_and_dropout_are_fine():
    fixed = [layers.Rescaling(1 / 255), layers.CenterCrop(8, 8), layers.Resizing(8, 8)]
    distil(classifier("student", *fixed, layers.Dropout(0.1), layers.GaussianNoise(0.1)))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_logits_in_half_precision_are_warned_of(policy):
    dtype = policy.removeprefix("mixed_")
    with pytest.warns(UserWarning, match=rf"gives its logits in {dtype}, .*precision='{policy}'"):
        Distiller(classifier(policy=policy))
    Distiller(classifier(policy=policy, dtype="float32"))
    Distiller(classifier(policy=policy), precision="mixed_bfloat16")  # keeps its copies' in float32


def test_logits_of_a_model_without_a_graph_are_looked_at_too():
    class Subclassed(keras.Model):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def call(self, inputs):
            return self.inner(inputs)

    for policy in ("mixed_bfloat16", "float32"):
        student = Subclassed(classifier(policy=policy))
        student(np.zeros((1, 8, 8, 3), "float32"))
        if policy == "float32":
            Distiller(student)
            continue
        with pytest.warns(UserWarning, match="gives its logits in bfloat16"):
            Distiller(student, precision=policy)  # it has no copy whose last layer is in float32


@pytest.mark.parametrize("names", [[], ["kd"], ["fitnet"]], ids=str)
def test_a_frozen_student_is_warned_of_when_its_step_is_prepared(names):
    student, teacher = classifier(), classifier("teacher", width=3)
    student.trainable = False
    taps = {"student_tap": student.layers[1].name, "teacher_tap": teacher.layers[1].name}
    distiller = Distiller(
        student,
        teacher=teacher,
        methods=[methods.get(name, **(taps if name == "fitnet" else {})) for name in names],
    )
    distiller.compile()
    with pytest.warns(UserWarning, match=r"'student' has no trainable weights.*trainable = True"):
        distiller.prepare_step()
    student.trainable = True
    distiller.prepare_step()


def test_a_frozen_student_that_is_not_deployed_itself_is_fine():
    student, teacher = classifier(), classifier("teacher", width=3)
    student.trainable = False
    taps = {"student_tap": student.layers[1].name, "teacher_tap": teacher.layers[1].name}
    distiller = Distiller(student, teacher=teacher, methods=methods.get("simkd", **taps))
    distiller.compile()
    distiller.prepare_step()
    assert distiller.trainable_variables


def test_a_student_that_is_its_own_teacher_is_warned_of():
    model = classifier()
    with pytest.warns(UserWarning, match=r"'student' is its own teacher.*clone_model"):
        Distiller(model, teacher=model, methods=methods.get("kd"))


@pytest.mark.parametrize("last", [layers.ReLU(), layers.Activation("tanh"), keras.ops.relu6])
def test_a_last_activation_that_limits_the_logits_is_warned_of(last):
    net = classifier()
    student = keras.Model(net.input, last(net.output), name="student")
    with pytest.warns(UserWarning, match=r"'student' ends in '(relu6?|tanh)'.*activation=None"):
        Distiller(student)
