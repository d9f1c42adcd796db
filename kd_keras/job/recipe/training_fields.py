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
        le=field_values.MAX_PASSES,
        description="epochs for students, baselines and assistants",
    )
    teacher_epochs: int = _field(
        5, ge=1, le=field_values.MAX_PASSES, description="epochs for each teacher"
    )
    stop_early: int | None = _field(
        None,
        ge=1,
        le=field_values.MAX_PASSES,
        description="end a training after N epochs without a better accuracy or mAP on a held-out "
        "tenth of train, and keep the best weights; none: train all epochs",
    )
    batch_size: int = _field(1024, ge=1, description="images per update, over all devices")
    accumulate: int = _field(
        1,
        ge=1,
        description="parts in which a batch is computed one after the other, for less memory; "
        "the same result without batch norms",
    )
    optimizer: Literal["adam", "adamw", "sgd", "lamb", "lion", "muon", "dot", "deepkd"] = _field(
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
    warmup_epochs: float = _field(
        0.0,
        ge=0,
        le=field_values.MAX_PASSES,
        description="first epochs in which the learning rate rises linearly to that of the "
        "schedule",
    )
    final_learning_rate: float | None = _field(
        None,
        ge=0,
        le=check.LARGEST,
        description="learning rate at the end of cosine and one-cycle; none: 0",
    )
    weight_decay: float = _field(
        0.0,
        ge=0,
        le=check.LARGEST,
        description="decoupled weight decay per step; with dot and deepkd, L2 added to the "
        "gradient",
    )
    clip_norm: float | None = _field(
        None,
        gt=0,
        le=check.LARGEST,
        description="largest norm of the gradient of all weights together; none: any",
    )
    momentum: float = _field(0.9, ge=0, lt=1, description="momentum of sgd, dot and deepkd")
    delta: float = _field(
        0.075,
        ge=0,
        lt=1,
        description="momentum difference of dot (methods momentum + delta, labels momentum - "
        "delta) and deepkd (labels and non-target + delta, target - delta)",
    )
    label_smoothing: float = _field(
        0.0, ge=0, le=1, description="share of each label spread over all classes"
    )
    ema: float = _field(
        0.0, ge=0, lt=1, description="decay per step of averaged weights; 0: no averaging"
    )
    seed: int = _field(
        0, ge=0, lt=2**31, description="seed of initial weights, order of images and dropout"
    )

    @property
    def images_per_step(self) -> int:
        """Images that one step computes: a batch, or its part where gradients accumulate."""
        return self.batch_size // self.accumulate
