"""Names of whole augmentation policies; a recipe checks them without importing Pillow."""

#: Steps of each policy. `light` crops by the dataset's padding. Images are mirrored only where the
#: dataset allows it.
PRESETS = {
    "none": "",
    "light": "crop,flip",
    "standard": "resized_crop:scale=0.35-1,flip",
    "strong": "resized_crop:scale=0.35-1,flip,rand_augment:number=2,magnitude=9,"
    "erase:probability=0.25",
}
#: What mixes images after the steps; fields of a recipe beside `augment`.
MIXING = ("mixup", "cutmix")
