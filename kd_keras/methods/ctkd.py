"""A learned temperature: soft targets at a temperature that is trained to make the task harder.

Loss: that of kd at T = lowest_temperature + temperature_span * sigmoid(w). w is one trained number.
Its gradient is multiplied by lambda <= 0, so w increases the loss that the student decreases.
lambda goes from first_reversal to last_reversal along half a cosine over the first
`reversal_share` of the run, and then stays constant.

Source: Li et al. 2023, "Curriculum Temperature for Knowledge Distillation", arXiv:2211.16231,
the global temperature. Defaults: T from 1 to 21, lambda from 0 to -1 within 10 of 240 epochs,
weights 0.9 and 0.1. Reads logits only. Trains one number. Each example has its own loss.
"""

import math
from typing import Unpack

from keras import ops

from kd_keras import check, losses
from kd_keras.methods.base import Batch, CommonKnobs, ExampleLosses, Method, Outputs, Shapes, Tensor
from kd_keras.tensor_types import Logits, LossTerms


class CTKD(Method):
    """Soft targets at a temperature that is trained against the student.

    Args:
        lowest_temperature: lowest temperature, > 0, no unit.
        temperature_span: highest minus lowest temperature, > 0.
        first_reversal, last_reversal: factors, <= 0, of the temperature's gradient.
        reversal_share: share of the run, > 0 and <= 1, in which the factor goes from first to last.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    departures = "lambda changes at every step, not at every epoch."
    default_weight = 0.9
    default_ce_weight = 0.1

    def __init__(
        self,
        *,
        lowest_temperature: float = 1.0,
        temperature_span: float = 20.0,
        first_reversal: float = 0.0,
        last_reversal: float = -1.0,
        reversal_share: float = 10 / 240,
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        self.lowest_temperature = check.number("lowest_temperature", lowest_temperature, above=0)
        self.temperature_span = check.number("temperature_span", temperature_span, above=0)
        self.first_reversal = check.number("first_reversal", first_reversal, at_most=0)
        self.last_reversal = check.number("last_reversal", last_reversal, at_most=0)
        self.reversal_share = check.number("reversal_share", reversal_share, above=0, at_most=1)

    @property
    def needs_progress(self) -> bool:
        return super().needs_progress or self.first_reversal != self.last_reversal

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        self.raw_temperature = self.add_weight(
            shape=(1,), initializer="ones", name="raw_temperature"
        )

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        factor = reversal(
            batch.progress,
            first=self.first_reversal,
            last=self.last_reversal,
            length=self.reversal_share,
        )
        terms = ctkd(
            student["logits"],
            teacher["logits"],
            self.raw_temperature,
            lowest_temperature=self.lowest_temperature,
            temperature_span=self.temperature_span,
            gradient_factor=factor,
        )
        return terms["loss"]


def ctkd(
    student_logits: Logits,
    teacher_logits: Logits,
    raw_temperature: Tensor,
    *,
    lowest_temperature: float,
    temperature_span: float,
    gradient_factor: Tensor | float,
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back to the teacher.
        raw_temperature: (1,) float, any value.
        lowest_temperature, temperature_span: see `CTKD`.
        gradient_factor: scalar that multiplies the gradient to `raw_temperature`.

    Returns:
        `loss`: (B,) float32 in nats, times the temperature squared. The gradient to
        `raw_temperature` includes this factor. `temperature`: (1,) float32.
    """
    scaled_raw = ops.convert_to_tensor(raw_temperature)
    value = ops.stop_gradient(scaled_raw)
    scaled_raw = value + gradient_factor * (scaled_raw - value)
    temperature = lowest_temperature + temperature_span * ops.sigmoid(scaled_raw)
    loss = losses.softened_kl(student_logits, teacher_logits, temperature=temperature)
    return {"loss": loss, "temperature": temperature}


def reversal(position: Tensor | float, *, first: float, last: float, length: float) -> Tensor:
    """Half a cosine from `first` at position 0 to `last` at `length`, constant from there on.

    Args:
        position: share of the training that is done, 0 to 1.
        first, last: values at the begin and at the end.
        length: share, above 0, from which on the value is `last`.
    """
    share = ops.minimum(ops.cast(position, "float32") / length, 1.0)
    return last + (first - last) * (1 + ops.cos(math.pi * share)) / 2
