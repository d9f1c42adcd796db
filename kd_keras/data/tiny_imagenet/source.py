"""From Tiny ImageNet's archive to the contents of a store; no file is extracted."""

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from kd_keras.data import user_files
from kd_keras.data.prepare import Source
from kd_keras.data.progress import Progress
from kd_keras.data.store_writer import Contents, Part
from kd_keras.data.tiny_imagenet import archive, layout
from kd_keras.data.tiny_imagenet.download import download

NAME = "tiny_imagenet"


def source(*, data_dir: Path | None, image_size: int | None, resize: str | None) -> Source:
    """Tiny ImageNet from the user's own zip or folder, or else from the network."""
    path = None if data_dir is None else archive.find(data_dir)
    return Source(
        name=NAME,
        kind=NAME,
        settings={"path": path and str(path), "image_size": image_size},
        state="official" if path is None else user_files.state(path),
        flip=True,
        val_fraction=0.1,
        contents=partial(_contents, path=path, image_size=image_size),
        resize=resize or "crop",
        digest=None if path is None else partial(user_files.digest, path),
    )


def _contents(
    folder: Path, progress: Progress, *, path: Path | None, image_size: int | None
) -> Contents:
    if path is None:
        from kd_keras.data.tiny_imagenet import tiny_imagenet_dataset_builder as tiny

        expected = tiny.Builder.url_infos[tiny.URL]
        path = download(
            tiny.URL,
            sha256=expected.checksum,
            size=int(expected.size),
            folder=folder.parent / "downloads",
            progress=progress,
        )
    with archive.opened(path) as files:
        found = layout.read(files)
    parts = {
        split: Part(len(examples), _batches(path, _in_order(split, examples), image_size))
        for split, examples in found.splits.items()
    }
    return Contents(found.class_names, parts)


def _in_order(split: str, examples: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Examples in the order in which TensorFlow Datasets 4.9 writes the builder's examples.

    Ids follow the order, so stores, teacher caches and measured accuracies depend on it.
    """
    return sorted(
        examples, key=lambda example: hashlib.md5(f"{split}{example[0]}".encode()).digest()
    )


def _batches(
    path: Path, examples: list[tuple[str, int]], image_size: int | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Decoded images and labels; the archive is open while they are read."""
    import tensorflow as tf

    from kd_keras.data import decode

    with archive.opened(path) as files:

        def record(name: tf.Tensor, label: tf.Tensor) -> dict[str, tf.Tensor]:
            encoded = tf.numpy_function(lambda text: files.read(text.decode()), [name], tf.string)
            return {"image": tf.ensure_shape(encoded, ()), "label": label, "name": name}

        names, labels = zip(*examples, strict=True)
        records = tf.data.Dataset.from_tensor_slices((list(names), np.array(labels, np.int64)))
        try:
            # All images are square, so the way of resizing changes nothing.
            yield from decode.batches(
                records.map(record), size=image_size, channels=3, resize="squash"
            )
        except tf.errors.OpError:
            for name in names:  # the archive's own error names the file that cannot be read
                files.read(name)
            raise
