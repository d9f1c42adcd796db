"""A program that serves SavedModels from sessions, as TensorFlow Serving does.

It imports TensorFlow only, neither kd_keras nor Keras. It does not use `tf.saved_model.load`, which
sets variables through Python objects and so also serves SavedModels that a session cannot restore.

Standard input, for each SavedModel: a line of JSON, {"folder": path, "shape": [N, H, W, C]}, then
the uint8 images. Standard output, first for the logits of `serving_default` and then for those of
`serve_bytes`, which gets the first images as PNG files: a line of JSON, [N, classes], then the
float32 values.
"""

import json
import os
import sys
from typing import Any, BinaryIO

import numpy as np
import tensorflow as tf

BATCH = 32
FILES = 4  # images to send as files; few, since decoding takes longer


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    while line := requests.readline():
        request = json.loads(line)
        size = int(np.prod(request["shape"]))
        images = np.frombuffer(requests.read(size), np.uint8).reshape(request["shape"])
        for logits in serve_images(request["folder"], images):
            answers.write(f"{json.dumps(logits.shape)}\n".encode())
            answers.write(logits.astype(np.float32).tobytes())
        answers.flush()


def serve_images(folder: str, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logits of all images, and the logits of the first ones sent as files.

    Args:
        folder: the SavedModel.
        images: (N, H, W, C) uint8.
    """
    files = np.array([tf.io.encode_png(image).numpy() for image in images[:FILES]], object)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def

        def logits(signature: str, name: str, batch: np.ndarray) -> Any:
            tensors = signatures[signature]
            feed_values = {tensors.inputs[name].name: batch}
            return session.run(tensors.outputs["logits"].name, feed_values)

        batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        by_pixels = [logits("serving_default", "images", batch) for batch in batches]
        return np.concatenate(by_pixels), logits("serve_bytes", "image_bytes", files)


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "wb") as standard_output:
        os.dup2(2, 1)  # what libraries print must not mix with the answers
        main(sys.stdin.buffer, standard_output)
