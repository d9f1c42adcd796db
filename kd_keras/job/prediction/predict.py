"""Predicts the classes of images with a model in any format: what `kdk predict` does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kd_keras import check
from kd_keras.data import LABEL_MODES
from kd_keras.job.prediction import images_to_predict, opened_model
from kd_keras.job.prediction.predictor import BATCH, Prediction, Predictor


def predict(
    model: str | Path,
    images: Any,
    *,
    top: int | None = 5,
    class_names: str | Path | Sequence[str] | None = None,
    resize: str | None = None,
    image_size: int | None = None,
    preprocess: str | None = None,
    imports: Sequence[str] = (),
    label_mode: str = "single",
    threshold: float | None = None,
    batch_size: int = BATCH,
    max_pixels: int | None = None,
) -> list[Prediction]:
    """Predicts the classes of images.

    Images are read as in training: turned upright by EXIF, without transparency, the first frame
    of an animation, resized as the training images were.

    Args:
        model: a `.keras`, `.h5`, `.tflite` or `.onnx` file, a SavedModel folder, or the name or
            path of a finished run, which stands for its student.
        images: a path of a file or folder (also folders in it), the bytes of an image file, an
            array uint8 (H, W), (H, W, C) or (N, H, W, C) of any size, an image of Pillow, or a
            sequence of any of these.
        top: most classes for each image; None: all.
        class_names: names in the order of the model's outputs, or a text file with one a line;
            None: those that the file or the run has.
        resize: "crop", "pad" or "squash", see `data.load`; None: as in training, else "crop".
        image_size: height and width in pixels, for a model that takes any size.
        preprocess: pixel values that the model expects, see `models.preprocessing`; None: 0..255.
        imports: modules that register the model's own layers.
        label_mode: "multi" for a model that gives each image several classes, or none, where
            neither its file nor its run says it.
        threshold: least probability of an answer of such a model, 0 to 1; None: 0.5.
        batch_size: images that the model gets at a time.
        max_pixels: pixels of the largest image to read; None: 178,956,970, Pillow's limit.

    Returns:
        One `Prediction` an image, in the order of `images`. One that cannot be read has an `error`.

    Raises:
        ValueError, OSError: the model or an option is wrong, or no image is given.
    """
    predictor = Predictor(
        opened_model.open_model(
            model,
            preprocess=preprocess,
            class_names=class_names,
            imports=imports,
            multi_label=check.one_of("label_mode", label_mode, LABEL_MODES) == "multi",
        ),
        resize=resize,
        image_size=image_size,
        batch_size=batch_size,
        max_pixels=max_pixels,
        threshold=threshold,
    )
    items = images_to_predict.items(images)
    if not items:
        raise ValueError(f"images is {images!r}; expected one image or more.")
    return [one for one in predictor.stream(items, top=top) if not one.skipped]
