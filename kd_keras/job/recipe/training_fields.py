"""Fields of a recipe that say how models are trained."""

from functools import partial
from typing import Literal

from pydantic import BaseModel, Field

from kd_keras import check
from kd_keras.job.recipe import field_values

#: The group is the section of `kdk train --help` that lists the field.
_field = partial(Field, json_schema_extra={"group": "Training"})


class TrainingFields(BaseModel):
    """The part of a recipe under "Training"."""

    epochs: int = _field(
        5,
        ge=1,
        le=field_values.MOST_PASSES,
        description="epochs for students, baselines and assistants",
    )
    teacher_epochs: int = _field(
        5, ge=1, le=field_values.MOST_PASSES, description="epochs for each teacher"
    )
    batch_size: int = _field(1024, ge=1, description="images per step, over all devices")
    optimizer: Literal["adam", "adamw", "sgd", "dot"] = _field(
        "adam", description="optimizer of every model that is trained"
    )
    learning_rate: float = _field(
        0.001, gt=0, le=check.LARGEST, description="highest learning rate of the schedule"
    )
    teacher_learning_rate: float | None = _field(
        None,
        gt=0,
        le=check.LARGEST,
        description="learning rate of teachers; none: learning_rate",
    )
    baseline_learning_rate: float | None = _field(
        None,
        gt=0,
        le=check.LARGEST,
        description="learning rate of baselines; none: learning_rate",
    )
    schedule: Literal["constant", "cosine", "one-cycle", "steps"] = _field(
        "constant", description="how the learning rate changes over the training"
    )
    weight_decay: float = _field(
        0.0,
        ge=0,
        le=check.LARGEST,
        description="decoupled weight decay per step; with dot, L2 added to the gradient",
    )
    momentum: float = _field(0.9, ge=0, lt=1, description="momentum of sgd and dot")
    delta: float = _field(
        0.075,
        ge=0,
        lt=1,
        description="momentum difference of dot: methods use momentum + delta, labels "
        "momentum - delta",
    )
    label_smoothing: float = _field(
        0.0, ge=0, lt=1, description="share of each label spread over all classes"
    )
    ema: float = _field(
        0.0, ge=0, lt=1, description="decay per step of averaged weights; 0: no averaging"
    )
    seed: int = _field(
        0, ge=0, lt=2**31, description="seed of initial weights, order of images and dropout"
    )
