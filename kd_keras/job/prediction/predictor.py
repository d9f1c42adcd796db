"""Runs a classifier on a stream of image files: read ahead in threads, predicted in batches."""

import dataclasses
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from kd_keras import check
from kd_keras.data import RESIZES
from kd_keras.data.images import image_files
from kd_keras.graph import backend, quiet_import
from kd_keras.job.prediction import opened_model
from kd_keras.job.prediction.images_to_predict import Item
from kd_keras.job.prediction.opened_model import OpenedModel
from kd_keras.results.metrics import multi_label

if TYPE_CHECKING:
    from kd_keras.data.images.image_reader import ImageReader

BATCH = 64
_RESIZE = "crop"  # of models that do not say


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A model's prediction for one image.

    Attributes:
        file: path of the image; "-" for stdin; None for an array.
        classes: names of the most probable classes, best first; their numbers as text if the model
            has no names. Empty if the image cannot be read. Where an image may have several
            classes, those with a probability of the threshold or more, perhaps none.
        indices: numbers of these classes, in the order of the model's outputs.
        probabilities: their probabilities, 0 to 1.
        error: why the image cannot be read; "" if it was.
        skipped: whether it is a file of another kind, found in a folder of images.
        too_large: whether it has more pixels than `max_pixels` allows.
    """

    file: str | None
    classes: tuple[str, ...] = ()
    indices: tuple[int, ...] = ()
    probabilities: tuple[float, ...] = ()
    error: str = ""
    skipped: bool = False
    too_large: bool = False


#: An image with its pixels, or with what says why it has none.
_Read: TypeAlias = tuple[Item, np.ndarray | Prediction]


class Predictor:
    """An opened model with the way in which it reads images.

    Args:
        model: the model.
        resize, image_size, batch_size, max_pixels, threshold: as for `predict.predict`.

    Raises:
        ValueError: the size of the model's images is unknown, or an option is wrong.
    """

    def __init__(
        self,
        model: OpenedModel,
        *,
        resize: str | None = None,
        image_size: int | None = None,
        batch_size: int = BATCH,
        max_pixels: int | None = None,
        threshold: float | None = None,
    ):
        self.model = model
        self.threshold = _threshold(model, threshold)
        self.batch_size = check.whole_number("batch_size", batch_size, at_least=1)
        pixel_limit = image_files.MAX_PIXELS if max_pixels is None else max_pixels
        self.max_pixels = check.whole_number("max_pixels", pixel_limit, at_least=1)
        if resize is not None:
            check.one_of("resize", resize, RESIZES)
        self.resize = resize or model.metadata.resize or _RESIZE
        self.shape = _shape(model, image_size)
        self.num_classes = opened_model.check_num_classes(model, self.shape)
        #: One for each class; their numbers if the model has no names.
        self.names = model.metadata.class_names or tuple(map(str, range(self.num_classes)))
        self._reader: ImageReader | None = None

    def stream(self, items: Iterable[Item], *, top: int | None = 5) -> Iterator[Prediction]:
        """Predictions in the order of the items; memory does not grow with their number."""
        num_shown = self.num_classes
        if top is not None:
            num_shown = min(num_shown, check.whole_number("top", top, at_least=1))
        pending: list[_Read] = []
        num_images = 0
        for item, pixels in self._read_ahead(items):
            pending.append((item, pixels))
            num_images += isinstance(pixels, np.ndarray)
            if num_images == self.batch_size or len(pending) == 8 * self.batch_size:
                yield from self._predictions(pending, num_shown)
                pending, num_images = [], 0
        yield from self._predictions(pending, num_shown)

    def _read_ahead(self, items: Iterable[Item]) -> Iterator["_Read"]:
        """Each item with its pixels, or with the prediction that says why it has none."""
        queue: deque[tuple[Item, Future[np.ndarray | Prediction]]] = deque()
        pool = ThreadPoolExecutor(os.cpu_count())
        with image_files.pixel_limit(self.max_pixels):
            try:
                for item in items:
                    queue.append((item, pool.submit(self._way_to_read(item), item)))
                    if len(queue) > 2 * self.batch_size:
                        first, pixels = queue.popleft()
                        yield first, pixels.result()
                while queue:
                    first, pixels = queue.popleft()
                    yield first, pixels.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _way_to_read(self, item: Item) -> Callable[[Item], np.ndarray | Prediction]:
        source = item.source
        if item.error:
            return lambda item: Prediction(item.name, error=item.error)
        if isinstance(source, np.ndarray) and _has_model_shape(source, self.shape):
            pixels = source[..., None] if source.ndim == 2 else source
            return lambda item: pixels
        # In this thread: imports of several threads at a time may meet.
        return partial(_read_item, self._image_reader())

    def _image_reader(self) -> "ImageReader":
        """Reads files as in training. It needs TensorFlow, which decoded the training images."""
        if self._reader is None:
            backend.require_tensorflow()
            quiet_import.import_keras()
            from kd_keras.data.images.image_reader import ImageReader

            self._reader = ImageReader(self.shape, resize=self.resize, max_pixels=self.max_pixels)
        return self._reader

    def _predictions(self, pending: Sequence["_Read"], num_shown: int) -> Iterator[Prediction]:
        images = [pixels for _, pixels in pending if isinstance(pixels, np.ndarray)]
        rows = zip(*self.model.classifier(np.stack(images)), strict=True) if images else iter(())
        for item, pixels in pending:
            if isinstance(pixels, np.ndarray):
                yield self._prediction(item, *next(rows), num_shown)
            else:
                yield pixels

    def _prediction(
        self, item: Item, logits: np.ndarray, probabilities: np.ndarray, num_shown: int
    ) -> Prediction:
        """The classes of one image, the largest logit first.

        Args:
            item: the image.
            logits: (C,) float.
            probabilities: (C,) float, 0 to 1.
            num_shown: largest number of classes.
        """
        # Not by probabilities: those of 8 bits are often equal where logits are not.
        order = np.argsort(-logits, kind="stable")[:num_shown]
        if self.threshold is not None:
            order = order[probabilities[order] >= self.threshold]
        return Prediction(
            item.name,
            tuple(self.names[index] for index in order),
            tuple(map(int, order)),
            tuple(float(probabilities[index]) for index in order),
        )


def _threshold(model: OpenedModel, threshold: float | None) -> float | None:
    """The least probability of an answer; None where an image has one class."""
    if model.metadata.multi_label:
        value = multi_label.THRESHOLD if threshold is None else threshold
        return check.number("threshold", value, at_least=0, at_most=1)
    if threshold is not None:
        raise ValueError(
            f"threshold is {threshold:g}, and {model.path} gives each image one class; expected a "
            "model that gives several. Leave --threshold out, or say --label-mode multi if it does."
        )
    return None


def _read_item(reader: "ImageReader", item: Item) -> np.ndarray | Prediction:
    """The pixels of an item, or why a file has none.

    Raises:
        ValueError: an array is none of an image.
    """
    source = item.source
    if isinstance(source, np.ndarray):
        return reader.array(source)
    try:
        return reader.decode(source) if isinstance(source, bytes) else reader.file(source)
    except (ValueError, OSError) as error:
        from kd_keras.data.images.image_reader import ImageTooLargeError, NotAnImageError

        reason = error.strerror if isinstance(error, OSError) else None
        return Prediction(
            item.name,
            error=reason or str(error),
            skipped=item.in_folder and isinstance(error, NotAnImageError),
            too_large=isinstance(error, ImageTooLargeError),
        )


def _has_model_shape(image: np.ndarray, shape: tuple[int, int, int]) -> bool:
    """Whether an array holds the very pixels that the model takes."""
    is_grey_array = shape[2] == 1 and image.shape == shape[:2]
    return image.dtype == np.uint8 and (image.shape == shape or is_grey_array)


def _shape(model: OpenedModel, image_size: int | None) -> tuple[int, int, int]:
    """(height, width, channels) of the images that the model gets."""
    shape = model.metadata.image_shape
    if image_size is not None:
        check.whole_number("image_size", image_size, at_least=1)
    if shape is None:
        if image_size is None:
            raise ValueError(
                f"{model.path} takes images of any size, and image_size is not given; expected the "
                "size in training. Give it with --image-size, such as 224."
            )
        return image_size, image_size, 3
    if image_size not in (None, *shape[:2]):
        raise ValueError(
            f"image_size is {image_size}; {model.path} takes images of "
            f"{'x'.join(map(str, shape))}. Leave --image-size out."
        )
    if shape[2] not in (1, 3):
        raise ValueError(
            f"{model.path} takes images of {shape[2]} channels; expected 1 or 3. Such a model "
            "takes no image files."
        )
    return shape
