"""What every method's loss owes, whatever the two models say; no method is named here."""

import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a Distiller builds the methods"
)


@pytest.fixture(scope="module", params=methods.names())
def method(request, pair):
    distiller = pair.distiller(request.param, 1)
    (method,) = distiller.methods
    yield method
    keras.utils.clear_session(free_memory=False)


@pytest.fixture
def losses_and_gradients(loss_and_gradients, pair):
    """(method, student, teacher) to (loss, gradients) in each stage of the method."""

    def run(method, student, teacher):
        size = len(student["logits"])
        x, labels = pair.batch(method, size)
        batch = Batch(labels, x["id"], x["inputs"])
        return [
            loss_and_gradients(method, student, teacher, batch, first_stage=first)
            for first in ((True, False) if method.first_stage else (False,))
        ]

    return run


def outputs(method, size):
    """What student and teacher say of so many examples; of a teacher that is not there, nothing."""
    rng = np.random.default_rng(0)

    def message(shapes):
        return {name: of_tap(name, rng.normal(size=(size, *s[1:]))) for name, s in shapes.items()}

    def of_tap(name, values):
        is_rectified = name != "logits" and not name.endswith("_preact")
        return (np.maximum(values, 0) if is_rectified else values).astype("float32")

    shapes_of_both = [method.get_build_config()[f"{who}_shape"] for who in ("student", "teacher")]
    if method.views_per_image == 2:
        shapes_of_both = [
            shapes | {f"{n}_view2": s for n, s in shapes.items()} for shapes in shapes_of_both
        ]
    return [message(shapes) for shapes in shapes_of_both]


def test_gradients_reach_the_student_and_every_part_and_never_the_teacher(
    method, losses_and_gradients
):
    results = losses_and_gradients(method, *outputs(method, 8))
    reached = {key for _, gradients in results for key, g in gradients.items() if np.any(g)}
    read = method.student_taps or ("logits",)
    assert {("student", tap) for tap in read} <= reached
    assert {("part", v.path) for v in method.trainable_variables} <= reached
    assert not any(who == "teacher" for who, _ in reached)


def test_a_loss_that_reads_the_progress_says_so(method, loss_and_gradients, pair):
    """Without `needs_progress` a run of unknown length gives the method a progress of 1."""
    student, teacher = outputs(method, 8)
    x, labels = pair.batch(method, 8)

    def losses(progress):
        batch = Batch(labels, x["id"], x["inputs"], progress)
        stages = (True, False) if method.first_stage else (False,)
        for first in stages:
            loss_and_gradients(method, student, teacher, batch, first_stage=first)

    unreadable = object()  # no number: who computes with it fails
    warmup, method.warmup = method.warmup, 0.0  # which the objective reads, not the loss
    try:
        if not method.needs_progress or method.first_stage:
            losses(unreadable)
        else:
            with pytest.raises((TypeError, ValueError)):
                losses(unreadable)
    finally:
        method.warmup = warmup


def test_a_loss_depends_on_the_labels_only_if_it_says_so(method, loss_and_gradients, pair):
    student, teacher = outputs(method, 8)
    x, labels = pair.batch(method, 8)
    # All labels change, and also which examples have the same.
    others = (labels + 1 + np.arange(8) % (pair.CLASSES - 1)) % pair.CLASSES

    def losses(labels, first):
        batch = Batch(labels, x["id"], x["inputs"])
        return loss_and_gradients(method, student, teacher, batch, first_stage=first)[0]

    stages = (True, False) if method.first_stage else (False,)
    same_loss = [np.array_equal(losses(labels, first), losses(others, first)) for first in stages]
    assert all(same_loss) == (not method.needs_labels)


def test_a_loss_with_one_target_class_for_each_example_says_so(method, loss_and_gradients, pair):
    student, teacher = outputs(method, 8)
    x, labels = pair.batch(method, 8)
    others = (labels + 1) % pair.CLASSES
    soft = 0.6 * np.eye(pair.CLASSES)[labels] + 0.4 * np.eye(pair.CLASSES)[others]

    def losses(labels):
        batch = Batch(labels, x["id"], x["inputs"])
        return loss_and_gradients(method, student, teacher, batch, first_stage=False)[0]

    takes_the_largest = np.array_equal(losses(labels), losses(soft.astype("float32")))
    assert method.needs_one_class == (method.needs_labels and takes_the_largest)


def same(values):
    return values


def in_float16(values):
    return {name: value.astype("float16") for name, value in values.items()}


def loud(values):
    """Logits up to 10,000 in size."""
    return {
        name: 1e4 * value / np.max(np.abs(value)) if name.startswith("logits") else value
        for name, value in values.items()
    }


def silent(values):
    return {name: np.zeros_like(value) for name, value in values.items()}


def without_a_channel(values):
    return {
        name: value if name.startswith("logits") else value * (np.arange(value.shape[-1]) > 0)
        for name, value in values.items()
    }


def without_an_example(values):
    return {
        name: np.concatenate([np.zeros_like(value[:1]), value[1:]])
        for name, value in values.items()
    }


def all_alike(values):
    return {name: np.repeat(value[:1], len(value), axis=0) for name, value in values.items()}


CASES = {
    "float16": (8, in_float16, in_float16),
    "one example": (1, same, same),
    "two examples": (2, same, same),
    "one silent example": (1, silent, silent),
    "two equal examples": (2, all_alike, all_alike),
    "logits of 10,000": (8, loud, loud),
    "logits of 10,000 of one example": (1, loud, loud),
    "a loud student": (8, loud, same),
    "a silent student": (8, silent, same),
    "a silent teacher": (8, same, silent),
    "both silent": (8, silent, silent),
    "a dead channel": (8, without_a_channel, without_a_channel),
    "a dead example": (8, without_an_example, without_an_example),
    "all examples alike": (8, all_alike, all_alike),
}


@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients_are_finite(case, method, losses_and_gradients):
    size, student_says, teacher_says = CASES[case]
    student, teacher = outputs(method, size)
    results = losses_and_gradients(method, student_says(student), teacher_says(teacher))
    for loss, gradients in results:
        assert np.shape(loss) == (size,)
        assert np.all(np.isfinite(loss))
        for (who, name), gradient in gradients.items():
            assert np.all(np.isfinite(gradient)), f"gradient of the {who}'s {name}"
            assert who != "teacher" or not np.any(gradient)
