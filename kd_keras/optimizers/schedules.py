"""Learning rates over a run, as functions of the step."""

from typing import Any

import keras
from keras import ops

from kd_keras import check
from kd_keras.tensor_types import Tensor

STEPS_AT = (0.625, 0.75, 0.875)  # shares of the run: epochs 150, 180, 210 of 240 in the literature
STEPS_FACTOR = 0.1
ONE_CYCLE_WARMUP = 0.3  # share of the run in which the rate rises
ONE_CYCLE_START = 1 / 25  # of the highest rate
NAMES = ("constant", "cosine", "one-cycle", "steps")
FALLING = ("cosine", "one-cycle")  # to a final rate


def get(
    name: str,
    learning_rate: float,
    total_steps: int,
    *,
    warmup_steps: int = 0,
    final: float = 0.0,
    accumulate: int = 1,
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The schedule called `name`.

    Args:
        name: "constant"; "cosine", which falls to `final`; "one-cycle", which rises from 1/25 of
            the highest rate for 30 % of the run, then falls to `final` like cosine; "steps", which
            divides the rate by ten at 5/8, 6/8 and 7/8 of the run.
        learning_rate: highest learning rate.
        total_steps: number of steps of the run, each an update.
        warmup_steps: first steps, >= 0 and below `total_steps`, in which the rate rises linearly to
            what the schedule says; cosine falls over the others. Not for one-cycle.
        final: rate at the end of cosine and one-cycle, 0 to `learning_rate`.
        accumulate: number of batches, >= 1, whose gradients are gathered for an update.

    Raises:
        ValueError: unknown name, or numbers that do not fit the schedule.
    """
    check.one_of("schedule", name, NAMES)
    _check(name, learning_rate, total_steps, warmup_steps, final)
    schedules = keras.optimizers.schedules
    schedule: float | keras.optimizers.schedules.LearningRateSchedule = learning_rate
    alpha = final / learning_rate
    if name == "cosine":
        schedule = schedules.CosineDecay(learning_rate, total_steps - warmup_steps, alpha=alpha)
    if name == "one-cycle":
        rise_steps = max(1, round(ONE_CYCLE_WARMUP * total_steps))
        schedule = schedules.CosineDecay(
            learning_rate * ONE_CYCLE_START,
            max(1, total_steps - rise_steps),
            warmup_target=learning_rate,
            warmup_steps=rise_steps,
            alpha=alpha,
        )
    if name == "steps":
        boundaries = [round(share * total_steps) for share in STEPS_AT]
        rates = [learning_rate * STEPS_FACTOR**i for i in range(len(STEPS_AT) + 1)]
        schedule = schedules.PiecewiseConstantDecay(boundaries, rates)
    if warmup_steps:
        schedule = Warmup(schedule, warmup_steps, delay=warmup_steps if name == "cosine" else 0)
    return PerUpdate(schedule, accumulate) if accumulate > 1 and callable(schedule) else schedule


@keras.saving.register_keras_serializable(package="kd_keras")
class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule whose rate rises linearly in its first steps, from 1 / `steps` of it in step 0.

    Args:
        schedule: a rate, or a schedule of rates.
        steps: number of the steps in which the rate rises, >= 1; the last has the whole rate.
        delay: number of steps after which `schedule` begins; before, it stands at its first rate.
    """

    def __init__(self, schedule: Any, steps: int, *, delay: int = 0):
        super().__init__()
        self.schedule, self.steps, self.delay = schedule, steps, delay

    def __call__(self, step: Any) -> Tensor:
        step = ops.cast(step, "float32")
        share = ops.minimum((step + 1) / self.steps, 1.0)
        rate = self.schedule
        return share * (rate(ops.maximum(step - self.delay, 0.0)) if callable(rate) else rate)

    def get_config(self) -> dict[str, Any]:
        schedule = _serialized(self.schedule)
        return {"schedule": schedule, "steps": self.steps, "delay": self.delay}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Warmup":
        return cls(**{**config, "schedule": _deserialized(config["schedule"])})


@keras.saving.register_keras_serializable(package="kd_keras")
class PerUpdate(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that counts updates, for an optimizer that counts batches.

    Args:
        schedule: a schedule of rates by update.
        accumulate: number of batches, >= 1, whose gradients are gathered for an update.
    """

    def __init__(self, schedule: Any, accumulate: int):
        super().__init__()
        self.schedule, self.accumulate = schedule, accumulate

    def __call__(self, step: Any) -> Tensor:
        rate: Tensor = self.schedule(ops.floor_divide(step, self.accumulate))
        return rate

    def get_config(self) -> dict[str, Any]:
        return {"schedule": _serialized(self.schedule), "accumulate": self.accumulate}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PerUpdate":
        return cls(**{**config, "schedule": _deserialized(config["schedule"])})


def _serialized(schedule: Any) -> Any:
    return keras.saving.serialize_keras_object(schedule) if callable(schedule) else schedule


def _deserialized(config: Any) -> Any:
    is_schedule = isinstance(config, dict)
    return keras.saving.deserialize_keras_object(config) if is_schedule else config


def _check(name: str, rate: float, total_steps: int, warmup_steps: int, final: float) -> None:
    if warmup_steps and name == "one-cycle":
        raise ValueError(
            "schedule is one-cycle, which has a warm-up of its own, and there is another one; "
            "expected one of them. Leave --warmup-epochs out, or choose --schedule cosine."
        )
    if not 0 <= warmup_steps < max(total_steps, 1):
        raise ValueError(
            f"the warm-up has {warmup_steps} steps and the training {total_steps}; expected fewer "
            "steps of warm-up than of training. Lower --warmup-epochs, or train for more epochs."
        )
    if final and name not in FALLING:
        raise ValueError(
            f"the final learning rate is {final:g} and the schedule {name}, which falls to none; "
            f"expected {' or '.join(FALLING)}. Choose one with --schedule, or leave "
            "--final-learning-rate out."
        )
    if not 0 <= final <= rate:
        raise ValueError(
            f"the final learning rate is {final:g} and the highest {rate:g}; expected a final rate "
            "from 0 to the highest. Lower --final-learning-rate."
        )
