"""Learning rates over a run, as functions of the step."""

import keras

from kd_keras import check

STEPS_AT = (0.625, 0.75, 0.875)  # shares of the run: epochs 150, 180, 210 of 240 in the literature
STEPS_FACTOR = 0.1
ONE_CYCLE_WARMUP = 0.3  # share of the run in which the rate rises
ONE_CYCLE_START = 1 / 25  # of the highest rate
NAMES = ("constant", "cosine", "one-cycle", "steps")


def get(
    name: str, learning_rate: float, total_steps: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The schedule called `name`.

    Args:
        name: "constant"; "cosine", which falls to 0; "one-cycle", which rises from 1/25 of the
            highest rate for 30 % of the run, then falls to 0 like cosine; "steps", which divides
            the rate by ten at 5/8, 6/8 and 7/8 of the run.
        learning_rate: highest learning rate.
        total_steps: number of steps of the run.
    """
    check.one_of("schedule", name, NAMES)
    schedules = keras.optimizers.schedules
    if name == "cosine":
        return schedules.CosineDecay(learning_rate, total_steps)
    if name == "one-cycle":
        rising = max(1, round(ONE_CYCLE_WARMUP * total_steps))
        return schedules.CosineDecay(
            learning_rate * ONE_CYCLE_START,
            max(1, total_steps - rising),
            warmup_target=learning_rate,
            warmup_steps=rising,
        )
    if name == "steps":
        boundaries = [round(share * total_steps) for share in STEPS_AT]
        rates = [learning_rate * STEPS_FACTOR**i for i in range(len(STEPS_AT) + 1)]
        return schedules.PiecewiseConstantDecay(boundaries, rates)
    return learning_rate
