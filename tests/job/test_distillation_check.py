"""The warnings of a run: a sound one has none; a teacher with permuted outputs is found."""

import types

import numpy as np
import pytest
from sklearn.datasets import load_digits

from kd_keras.job import distillation_check

STUDENT = types.SimpleNamespace(
    methods=[types.SimpleNamespace(name="kd", weight=1.0)], ce_weight=1.0
)


@pytest.fixture(scope="module")
def digits():
    """(labels, logits of a nearest-mean classifier, those of a weaker one), of every digit."""
    images, labels = load_digits(return_X_y=True)

    def logits(pixels):
        means = np.stack([images[labels == label][:, pixels].mean(axis=0) for label in range(10)])
        return -((images[:, None, pixels] - means) ** 2).sum(axis=-1)

    return labels, logits(slice(None)), logits(slice(0, 48))


def warnings_of(labels, *, teacher, student, norms=({"ce": 1.0, "kd": 2.0},), generation=False):
    predicted = {"teacher": teacher.argmax(axis=1), "student": student.argmax(axis=1)}
    results = {
        "teacher": {"top1": 0.0, "role": "generation" if generation else "teacher"},
        "student": {"top1": 0.0, "role": "student", "taught_by": "teacher"},
        "data": {},
    }
    history = {f"{name}_gradient_norm": [row[name] for row in norms] for name in norms[0]}
    job = types.SimpleNamespace(
        data=types.SimpleNamespace(
            validation=types.SimpleNamespace(labels=labels), class_names=tuple("0123456789")
        ),
        recipe=types.SimpleNamespace(seed=0),
        models=types.SimpleNamespace(rounds=[{"student": STUDENT}]),
        folder=types.SimpleNamespace(
            predictions=predicted.__getitem__, history=lambda phase: history
        ),
    )
    return distillation_check.warnings(job, results)


def test_a_sound_run_has_no_warnings(digits):
    labels, good, weaker = digits
    assert warnings_of(labels, teacher=good, student=weaker) == []


def test_a_teacher_whose_outputs_are_permuted_is_found_with_its_classes(digits):
    labels, good, weaker = digits
    order, worse = warnings_of(labels, teacher=np.roll(good, 1, axis=1), student=weaker)
    assert order.startswith(
        "The teacher's classes seem to be in a different order than the data's: "
    )
    assert (
        f"with 10 of 10 classes reordered it would be {np.mean(good.argmax(1) == labels):.1%}."
        in order
    )
    assert "It predicts '0' on images of '9'" in order
    assert worse.startswith("The teacher is worse than the student that it taught")


def test_a_student_may_be_better_than_the_generation_before(digits):
    labels, good, weaker = digits
    assert len(warnings_of(labels, teacher=weaker, student=good)) == 1
    assert warnings_of(labels, teacher=weaker, student=good, generation=True) == []


def test_a_term_that_trains_nothing_is_named_with_its_model(digits):
    labels, good, weaker = digits
    norms = [{"ce": 1.0, "kd": 0.0}]
    (line,) = warnings_of(labels, teacher=good, student=weaker, norms=norms)
    assert line.startswith("Student: kd has no gradient")
