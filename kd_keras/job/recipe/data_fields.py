"""Fields of a recipe that describe the data."""

from functools import partial
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from kd_keras import check
from kd_keras.data import presets
from kd_keras.data.images import sizes
from kd_keras.job.recipe import field_values

#: The group is the section of `kdk train --help` that lists the field.
_field = partial(Field, json_schema_extra={"group": "Data"})


class DataFields(BaseModel):
    """The part of a recipe under "Data"."""

    dataset: str = _field(
        "tiny_imagenet", min_length=1, description="tiny_imagenet, digits, folder:PATH or tfds:NAME"
    )
    label_mode: Literal["single", "multi"] = _field(
        "single",
        description="classes of an image: single, one; multi, several or none, from a CSV file in "
        "folder:PATH",
    )
    data_dir: str | None = _field(None, description="folder with the dataset's own files")
    image_size: int | None = _field(
        None,
        ge=8,
        le=sizes.LARGEST,
        description="height and width of images in pixels; none: the dataset's own",
    )
    store_size: int | None = _field(
        None,
        ge=8,
        le=sizes.LARGEST,
        description="height and width of stored images in pixels, from which resized_crop cuts; "
        "none: image_size, or that / 0.875 for images in files and resized_crop",
    )
    eval_crop: float = _field(
        1.0,
        gt=0,
        le=1,
        description="side of the middle that evaluation sees of a larger stored image, as a share",
    )
    resize: Literal["crop", "pad", "squash"] | None = _field(
        None, description="how images become square; none: crop (tfds: squash)"
    )
    flip: bool | None = _field(
        None, description="mirror images at random; none: the dataset's default"
    )
    augment: str = _field(
        "light",
        min_length=1,
        description="none, light (crops, mirroring), standard (resized crops, mirroring), strong "
        "(standard, RandAugment, erasing), or steps: resized_crop:scale=0.35-1,flip",
    )
    mixup: float = _field(
        0.0, ge=0, le=check.LARGEST, description="alpha of mixup, which blends two images; 0: off"
    )
    cutmix: float = _field(
        0.0,
        ge=0,
        le=check.LARGEST,
        description="alpha of CutMix, which pastes a box of another image; 0: off",
    )
    val_fraction: float | None = _field(
        None,
        gt=0,
        lt=1,
        description="share of train to hold out if the dataset has no validation set",
    )
    validate_on_holdout: bool = _field(
        False, description="evaluate on a held-out tenth of train, to choose settings"
    )
    labels_per_class: int | None = _field(
        None,
        ge=1,
        description="training images of each class whose label students see, chosen by the seed; "
        "none: all",
    )
    hide_from_teacher: bool = _field(
        False, description="hide the same labels from teachers that this run trains"
    )
    unlabelled: tuple[str, ...] = _field(
        (),
        description="folder:PATH or tfds:NAME, images without labels from which students learn "
        "too; may be given again",
    )
    views: int = _field(
        0,
        ge=0,
        le=field_values.MAX_PASSES,
        description="number of augmented views of each image, shown in turn; 0: a new view every "
        "epoch",
    )
    max_pixels: int | None = _field(
        None, ge=1, description="pixels of the largest image to read; none: 178,956,970"
    )
    view_seed: int = _field(0, ge=0, lt=2**31, description="seed of the augmentation")

    @field_validator("augment")
    @classmethod
    def _is_policy(cls, text: str) -> str:
        if text not in presets.PRESETS:
            from kd_keras.data.augmentation import grammar  # imports Pillow

            grammar.parse(text)
        return text
