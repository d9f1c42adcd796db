import numpy as np
import pytest

from kd_keras import methods
from kd_keras.losses import softened_kl
from kd_keras.methods.base import Batch
from kd_keras.methods.lskd import lskd, lskd_over_dkd, standardised


def golden(arrays, config):
    logits = arrays["student_logits"], arrays["teacher_logits"]
    shared = {"temperature": config["temperature"], "epsilon": config["eps"]}
    over_dkd = lskd_over_dkd(
        *logits,
        arrays["labels"],
        target_weight=config["dkd_alpha"],
        nontarget_weight=config["dkd_beta"],
        **shared,
    )
    return {"loss": lskd(*logits, **shared)["loss"], "loss_dkd": over_dkd["loss"]}


GOLDENS = {"lskd": golden}


def logits(batch_size, seed=0):
    return np.random.default_rng(seed).normal(size=(batch_size, 5)).astype("float32")


def test_standardises_by_hand():
    # (1, 2, 3): mean 2, deviation over C - 1 is 1; equal logits have no deviation to divide by.
    result = standardised(np.array([[1.0, 2.0, 3.0], [7.0, 7.0, 7.0]], "float32"))
    np.testing.assert_allclose(result, [[-1, 0, 1], [0, 0, 0]], atol=1e-6)


def loss(base_method, student, teacher):
    method = methods.get("lskd", base_method=base_method)
    labels = np.arange(len(student)) % 5
    return method(student={"logits": student}, teacher={"logits": teacher}, batch=Batch(labels))


@pytest.mark.parametrize("base_method", ["kd", "dkd"])
def test_is_blind_to_shift_and_scale(base_method):
    student, teacher = logits(3), logits(3, 1)
    np.testing.assert_allclose(loss(base_method, 9 * teacher + 4, teacher), np.zeros(3), atol=1e-5)
    np.testing.assert_allclose(
        loss(base_method, 9 * student + 4, teacher),
        loss(base_method, student, teacher),
        rtol=1e-3,
        atol=1e-5,
    )


def test_over_kd_is_kd_of_standardised_logits():
    student, teacher = logits(3), logits(3, 1)
    by_kd = softened_kl(standardised(student), standardised(teacher), temperature=2.0)
    np.testing.assert_allclose(loss("kd", student, teacher), by_kd, rtol=1e-6)
    assert np.all(np.abs(np.asarray(loss("dkd", student, teacher)) - by_kd) > 1e-3)


def test_depends_on_the_labels_only_over_dkd():
    student, teacher = logits(3), logits(3, 1)
    for base_method in ("kd", "dkd"):
        method = methods.get("lskd", base_method=base_method)
        first, second = (
            np.asarray(
                method(
                    student={"logits": student}, teacher={"logits": teacher}, batch=Batch(labels)
                )
            )
            for labels in (np.arange(3), np.arange(3) + 1)
        )
        assert np.any(first != second) == method.needs_labels == (base_method == "dkd")


@pytest.mark.parametrize("base_method", ["kd", "dkd"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_teaches_the_student_in_float16(base_method, batch_size, teaches):
    method = methods.get("lskd", base_method=base_method)
    method.build_for({"logits": (None, 5)}, {"logits": (None, 5)})
    student = logits(batch_size).astype("float16")
    student[0] = 1  # no deviation
    teacher = (1e4 * logits(batch_size, 1)).astype("float16")
    batch = Batch(labels=np.zeros(batch_size, "int32"))
    teaches(method, {"logits": student}, {"logits": teacher}, batch)


def test_refuses_two_classes():
    with pytest.raises(
        ValueError, match=r"lskd: the student has 2 classes; expected 3 or more\. Use the method kd"
    ):
        methods.get("lskd").build_for({"logits": (None, 2)}, {"logits": (None, 2)})


def test_refuses_bad_knobs():
    with pytest.raises(ValueError, match=r"base_method is 'dkb'; expected one of: dkd, kd"):
        methods.get("lskd", base_method="dkb")
    with pytest.raises(ValueError, match="temperature is 0; expected a finite number > 0"):
        methods.get("lskd", temperature=0)
