import math

import numpy as np
import pytest

from kd_keras import methods
from kd_keras.losses import softened_kl
from kd_keras.methods.base import Batch
from kd_keras.methods.ctkd import ctkd, reversal


def golden(arrays, config):
    parts = ctkd(
        arrays["student_logits"],
        arrays["teacher_logits"],
        arrays["global_T"],
        lowest_temperature=config["t_start"],
        temperature_span=config["t_end"],
        gradient_factor=config["lambda_"],
    )
    decay = reversal(
        np.array(config["decay_epochs"], "float32"),
        first=config["decay_max"],
        last=config["decay_min"],
        length=config["decay_loops"],
    )
    return {
        "loss": parts["loss"],
        "out_temperature": parts["temperature"],
        "out_decay_values": decay,
    }


GOLDENS = {"ctkd": golden}


def logits(batch_size, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch_size, 4), scale=scale).astype("float32")


def built(**knobs):
    method = methods.get("ctkd", **knobs)
    method.build_for({"logits": (None, 4)}, {"logits": (None, 4)})
    return method


def test_starts_as_kd_at_its_first_temperature():
    # One trained number, 1 at first: T = 1 + 20 / (1 + e^-1) = 15.6212.
    method = built()
    assert [v.shape for v in method.trainable_variables] == [(1,)]
    student, teacher = {"logits": logits(3)}, {"logits": logits(3, 1)}
    result = method(student=student, teacher=teacher, batch=Batch(np.zeros(3)))
    by_kd = softened_kl(logits(3), logits(3, 1), temperature=15.62117157)
    np.testing.assert_allclose(result, by_kd, rtol=1e-5)


def test_reversal_falls_along_half_a_cosine():
    values = [
        float(reversal(p, first=0.0, last=-1.0, length=0.5)) for p in (0, 0.125, 0.25, 0.5, 1)
    ]
    np.testing.assert_allclose(
        values, [0, (math.cos(math.pi / 4) - 1) / 2, -0.5, -1, -1], atol=1e-6
    )


def test_temperature_climbs_the_loss_that_the_student_descends(loss_and_gradients):
    # After the schedule lambda is -1: the gradient of the number is minus that of the loss.
    student, teacher = {"logits": logits(3)}, {"logits": logits(3, 1)}

    def gradient(progress):
        batch = Batch(np.zeros(3), progress=progress)
        method = built(temperature_span=2.0)
        _, gradients = loss_and_gradients(method, student, teacher, batch)
        (slope,) = (g for (group, _), g in gradients.items() if group == "part")
        return float(slope[0])

    def loss(raw):
        temperature = 1 + 2 / (1 + math.exp(-raw))
        return float(np.mean(softened_kl(logits(3), logits(3, 1), temperature=temperature)))

    slope = (loss(1.05) - loss(0.95)) / 0.1
    assert abs(slope) > 1e-3
    assert gradient(1.0) == pytest.approx(-slope, rel=1e-2)
    assert gradient(5 / 240) == pytest.approx(-slope / 2, rel=1e-2)
    assert gradient(0.0) == 0


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_teaches_student_and_temperature_in_float16(batch_size, scale, teaches):
    student = {"logits": logits(batch_size, scale=scale).astype("float16")}
    teacher = {"logits": logits(batch_size, 1, scale).astype("float16")}
    teaches(built(), student, teacher, Batch(np.zeros(batch_size)))


@pytest.mark.parametrize(
    "knob",
    [
        {"lowest_temperature": 0},
        {"temperature_span": 0},
        {"last_reversal": 1},
        {"reversal_share": 0},
        {"reversal_share": 2},
    ],
    ids=str,
)
def test_refuses_bad_knobs(knob):
    with pytest.raises(ValueError, match=f"{next(iter(knob))} is .*; expected a finite number"):
        methods.get("ctkd", **knob)
