import numpy as np
import pytest

from kd_keras import losses, methods
from kd_keras.methods.base import Batch
from kd_keras.methods.sld import own_swap, sld, swap

# Its second part begins at a share of the run, with a jump upwards.
CONTRACT = {"student_swap_start": 0.0}


def golden(arrays, config):
    student = arrays["student_logits_weak"], arrays["student_logits_strong"]
    parts = sld(
        *student,
        arrays["teacher_logits_weak"],
        arrays["teacher_logits_strong"],
        arrays["labels"],
        temperatures=config["temperatures"],
    )
    parts = {name: config["kd_weight"] * part for name, part in parts.items()}
    later = config["epoch"] > config["student_swap_epoch"]
    ce = sum(losses.cross_entropy(arrays["labels"], logits) for logits in student)
    return {
        **parts,
        "loss": parts["loss_teacher"] + (parts["loss_student"] if later else 0.0),
        "loss_ce": config["ce_weight"] * ce,
    }


GOLDENS = {"sld": golden}
LOGITS = np.array([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]], "float32")
LABELS = np.array([0, 1])


def test_swaps_the_label_s_logit_with_the_largest():
    np.testing.assert_array_equal(swap(LOGITS, LABELS), [[3, 1, 2], [1, 3, 2]])


def test_own_swap_is_the_divergence_from_the_swapped_student():
    result = own_swap(LOGITS, LABELS, temperature=2.0)
    expected = losses.softened_kl(LOGITS, swap(LOGITS, LABELS), temperature=2.0)
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    assert float(result[0]) == 0.0  # the student is right


def outputs(*rows):
    return {name: np.array([row], "float32") for name, row in zip(VIEWS, rows, strict=True)}


VIEWS = ("logits", "logits_view2")
STUDENT, TEACHER = outputs([1, 2, 0], [0, 1, 2]), outputs([3, 2, 1], [1, 0, 5])


def loss(method, progress):
    batch = Batch(np.array([2]), progress=progress)
    return float(method(student=STUDENT, teacher=TEACHER, batch=batch)[0])


def test_the_student_s_own_swap_counts_from_its_start_on():
    method = methods.get("sld", temperatures=(2.0,), student_swap_start=0.5)
    arrays = *STUDENT.values(), *TEACHER.values(), np.array([2])
    parts = {name: float(v[0]) for name, v in sld(*arrays, temperatures=(2.0,)).items()}
    assert parts["loss_student"] > 0.1
    assert loss(method, 0.49) == pytest.approx(parts["loss_teacher"])
    assert loss(method, 0.5) == pytest.approx(parts["loss_teacher"] + parts["loss_student"])
    never, always = (methods.get("sld", temperatures=(2.0,), student_swap_start=s) for s in (1, 0))
    assert loss(never, 1.0) == pytest.approx(loss(method, 0.0))
    assert loss(always, 0.0) == pytest.approx(loss(method, 1.0))
    needs = [m.needs_progress for m in (method, never, always)]
    assert needs == [True, False, False]


@pytest.mark.parametrize("temperatures", [(), 3.0], ids=str)
def test_refuses_no_temperatures(temperatures):
    with pytest.raises(ValueError, match=r"temperatures is .*; expected one or more numbers > 0"):
        methods.get("sld", temperatures=temperatures)
    with pytest.raises(ValueError, match="each of temperatures is 0"):
        methods.get("sld", temperatures=(1, 0))
