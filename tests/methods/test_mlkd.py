import numpy as np
import pytest

from kd_keras import losses, methods
from kd_keras.methods.base import Batch
from kd_keras.methods.mlkd import confidence, gram_distance, mlkd, share_up_to_median


def golden(arrays, config):
    student = arrays["student_logits_weak"], arrays["student_logits_strong"]
    parts = mlkd(
        *student,
        arrays["teacher_logits_weak"],
        arrays["teacher_logits_strong"],
        temperature=config["temperature"],
        extra_temperatures=tuple(config["extra_temperatures"]),
    )
    ce = sum(losses.cross_entropy(arrays["labels"], logits) for logits in student)
    return {
        **{name: config["kd_weight"] * value for name, value in parts.items()},
        "loss_ce": config["ce_weight"] * ce,
    }


GOLDENS = {"mlkd": golden}


def views(batch_size, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    size = (batch_size, 4)
    return {
        name: rng.normal(size=size, scale=scale).astype("float32")
        for name in ("logits", "logits_view2")
    }


@pytest.mark.parametrize(
    ("values", "share"),
    [([3, 1, 2], 2 / 3), ([4, 1, 3, 2], 1 / 2), ([2, 2, 2, 5], 3 / 4), ([1], 1)],
)
def test_share_up_to_median_by_hand(values, share):
    assert float(share_up_to_median(np.array(values, "float32"))) == pytest.approx(share)


def test_confidence_tells_apart_what_float32_rounds_to_one():
    sure = np.array([[20.0, 0.0, 0.0], [25.0, 0.0, 0.0], [0.0, 0.0, 0.0]], "float32")
    np.testing.assert_allclose(
        confidence(sure), [20 - np.log(2), 25 - np.log(2), -np.log(2)], rtol=1e-5
    )


def test_gram_distance_by_hand():
    # Grams (1 0, 0 1) against (1 1, 1 1): two entries differ by 1, over two rows.
    one, other = np.eye(2, dtype="float32"), np.array([[1, 0], [1, 0]], "float32")
    assert float(gram_distance(one, other)) == 1.0


def test_kd_part_by_hand():
    # One example: m = c = 1, so the weak view counts five times and two temperatures twice.
    student, teacher = views(1), views(1, seed=1)
    extra = (3.0, 5.0, 2.0, 6.0)
    weak, strong = (
        [
            np.asarray(losses.softened_kl(student[v], teacher[v], temperature=t))
            for t in (4.0, *extra)
        ]
        for v in ("logits", "logits_view2")
    )
    result = mlkd(*student.values(), *teacher.values(), temperature=4.0, extra_temperatures=extra)
    by_hand = sum(weak) + sum(strong[:3]) + sum(weak[3:])
    np.testing.assert_allclose(result["loss_kd"], by_hand, rtol=1e-5)


def test_is_zero_at_equality():
    same = views(5)
    result = methods.get("mlkd")(student=same, teacher=same, batch=Batch(np.zeros(5)))
    np.testing.assert_allclose(result, np.zeros(5), atol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_teaches_both_views_in_float16(batch_size, scale, teaches, loss_and_gradients):
    method = methods.get("mlkd")
    student, teacher = (
        {name: value.astype("float16") for name, value in views(batch_size, seed, scale).items()}
        for seed in (0, 1)
    )
    batch = Batch(np.zeros(batch_size))
    teaches(method, student, teacher, batch)
    _, gradients = loss_and_gradients(method, student, teacher, batch)
    assert np.any(gradients["student", "logits"])
    assert np.any(gradients["student", "logits_view2"])


@pytest.mark.parametrize("extra", [(3.0, 5.0), 3.0, "3+5+2+6"], ids=str)
def test_refuses_other_than_four_extra_temperatures(extra):
    with pytest.raises(ValueError, match=r"extra_temperatures is .*; expected four numbers > 0"):
        methods.get("mlkd", extra_temperatures=extra)
    with pytest.raises(ValueError, match="each of extra_temperatures is 0"):
        methods.get("mlkd", extra_temperatures=(3, 5, 2, 0))
