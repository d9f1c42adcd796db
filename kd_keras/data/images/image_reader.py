"""Reads single images as training does: the same checks, the same pixels, the same resizing."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from kd_keras.data.images import decode, image_files, resizing


class ImageTooLargeError(ValueError):
    """An image has more pixels than may be read."""


class NotAnImageError(ValueError):
    """A file that is not an image, neither by its content nor by its name."""


class ImageReader:
    """Reads images of any size and format as arrays of one shape; threads may share it.

    Args:
        shape: (height, width, channels) of the result; channels 1 or 3.
        resize: how an image of another aspect is made to fit, see `resizing.resized`.
        max_pixels: pixels of the largest image to read, against files made to fill memory. It
            counts within `image_files.pixel_limit` only, if it is more than `MAX_PIXELS`.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        resize: str,
        max_pixels: int = image_files.MAX_PIXELS,
    ):
        self.height, self.width, self.channels = shape
        self.max_pixels = max_pixels
        self._resize = resize
        resize_image = partial(resizing.resized, height=self.height, width=self.width, how=resize)
        pixels = tf.TensorSpec((None, None, self.channels), tf.uint8)
        self._resized = tf.function(lambda image: resize_image(image), input_signature=[pixels])

    def file(self, path: Path) -> np.ndarray:
        """The image in a file, (height, width, channels) uint8.

        Raises:
            NotAnImageError: it is a file of another kind.
            ImageTooLargeError: it has more than `max_pixels` pixels.
            ValueError: it is not an image that can be read.
            OSError: there is no such file, or it may not be read.
        """
        if path.exists() and not path.is_file():  # opening a named pipe would wait for ever
            raise NotAnImageError(image_files.NOT_REGULAR)
        with path.open("rb") as file:
            self._check(image_files.read_header(file, path.suffix))
            file.seek(0)
            return self._pixels(file.read())

    def decode(self, content: bytes) -> np.ndarray:
        """The image in a file's bytes, (height, width, channels) uint8; raises as `file` does."""
        self._check(image_files.read_header(io.BytesIO(content), ""))
        return self._pixels(content)

    def array(self, image: np.ndarray) -> np.ndarray:
        """The pixels of an image, resized as those of a file.

        Args:
            image: uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), whose transparency is ignored.

        Returns:
            (height, width, channels) uint8.

        Raises:
            ValueError: another dtype or shape, or colours for a model of grey images.
        """
        image = np.asarray(image)
        shape = image.shape
        image = image[..., None] if image.ndim == 2 else image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3, 4):
            raise ValueError(
                f"an image is {image.dtype} of shape {shape}; expected uint8 pixels, 0 to "
                "255, (H, W) or (H, W, 1, 3 or 4). Convert it, as images.astype('uint8')."
            )
        image = image[..., :3]
        if image.shape[2] == 1 and self.channels == 3:
            image = np.repeat(image, 3, axis=2)
        if image.shape[2] != self.channels:
            raise ValueError(
                f"an image has {image.shape[2]} channels, and the model takes {self.channels}; "
                "expected grey images, (H, W) or (H, W, 1). Convert it to grey."
            )
        if image.shape[:2] == (self.height, self.width):
            return image
        resized_image: np.ndarray = self._resized(tf.constant(image)).numpy()
        return resized_image

    def _check(self, header: image_files.ImageHeader) -> None:
        if header == image_files.NO_IMAGE:
            raise NotAnImageError("it is not an image of a known format")
        if header.size is None:
            raise (ImageTooLargeError if header.too_large else ValueError)(header.reason)
        height, width = header.size
        if height * width > self.max_pixels:
            raise ImageTooLargeError(
                f"it has {height * width:,} pixels; at most {self.max_pixels:,} are read"
            )

    def _pixels(self, content: bytes) -> np.ndarray:
        if not content.startswith(decode.NATIVE):
            return self.array(image_files.pixels(content, self.channels))
        # The operations that wrote the store of a dataset. They run eagerly, since some of them
        # call Python: in a graph, several threads would wait for each other for ever.
        with tf.device("cpu:0"):
            try:
                image = decode.decode(
                    tf.constant(content), size=None, channels=self.channels, resize=self._resize
                )
            except tf.errors.OpError as error:
                raise ValueError(decode.reason(content, self.channels)) from error
            pixels: np.ndarray = self._resized(image).numpy()
        return pixels
