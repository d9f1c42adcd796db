"""Fields of a recipe that concern the machine and the logs."""

from functools import partial
from typing import Literal

from pydantic import BaseModel, Field

from kd_keras import check

#: The group is the section of `kdk train --help` that lists the field.
_field = partial(Field, json_schema_extra={"group": "Machine"})


class MachineFields(BaseModel):
    """The part of a recipe under "Machine"."""

    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = _field(
        "auto", description="precision of training; saved models are float32"
    )
    cache: Literal["auto", "always", "never"] = _field(
        "auto",
        description="keep the teacher's outputs on disk; auto: if views repeat (--views) and the "
        "methods read no feature maps",
    )
    checkpoint_minutes: float = _field(
        5.0,
        ge=0,
        le=check.LARGEST,
        description="minutes between checkpoints within an epoch; 0: after every step",
    )
    log_every: int | None = _field(
        None,
        ge=1,
        description="steps between values that are logged within an epoch; none: only epochs",
    )
    wandb: str | None = _field(
        None, min_length=1, description="Weights & Biases project to log to (extra wandb)"
    )
    mlflow: str | None = _field(
        None, min_length=1, description="MLflow experiment to log to (extra mlflow)"
    )
    deterministic: bool = _field(
        False, description="make GPUs give the same bits in each run; slower (CPUs do so anyway)"
    )
    timing: bool = _field(True, description="measure the time that each network takes per image")
    devices: str | None = _field(
        None,
        pattern="^(cpu|gpu):[1-9][0-9]*$",
        description="kind and number, cpu:2 or gpu:4; none: all visible GPUs, or one CPU",
    )
