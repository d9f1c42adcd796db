import keras
from keras import layers

from kd_keras import Distiller, methods
from kd_keras.distill.checks import pair_warnings
from kd_keras.job.checks import model_notes


def distil(student, teacher, **options):
    with pair_warnings.without_warnings():
        return Distiller(student, teacher=teacher, methods=methods.get("kd"), **options)


def test_a_model_larger_than_its_teacher_is_named_with_its_phase(net):
    teacher, assistant = net("teacher", width=6), net("assistant", width=4)
    rounds = [
        {"assistant-1": distil(assistant, teacher)},
        {"student-1": distil(net("a", width=5), assistant), "student-2": distil(net("b"), teacher)},
    ]
    (line,) = model_notes.of_rounds(rounds)
    sizes = [f"{model.count_params():,}" for model in (net("a", width=5), assistant)]
    assert line == (
        f"student 1 has {sizes[0]} parameters, more than the {sizes[1]} of its teacher "
        "(assistant 1); check that the two models are not exchanged"
    )


def test_a_model_without_a_teacher_is_compared_with_nothing(net):
    assert model_notes.of_rounds([{"student": Distiller(net("student"))}]) == []


def test_a_student_that_augments_and_one_with_logits_in_half_precision_are_named(net):
    inner = net("inner")
    inputs = keras.Input((8, 8, 3))
    logits = inner(layers.RandomFlip(name="flip")(inputs))
    student = keras.Model(inputs, layers.Activation("linear", dtype="bfloat16")(logits))
    half, augments = model_notes.of_rounds([{"student": distil(student, net("teacher", width=6))}])
    assert half.startswith("student gives its logits in bfloat16, rounded to 3 digits")
    assert augments.startswith("student changes its images at random inside itself (flip), so")
    assert "Distiller(" not in half + augments  # words for the command line


def test_a_student_with_limited_logits_is_named(net):
    inner = net("inner")
    student = keras.Model(inner.input, keras.ops.relu(inner.output), name="limited")
    (line,) = model_notes.of_rounds([{"student": distil(student, net("teacher", width=6))}])
    assert line.startswith("student ends in 'relu', so that its logits cannot take every value")
