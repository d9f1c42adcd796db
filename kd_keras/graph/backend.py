"""The Keras backend that training needs."""

import os
import sys

TENSORFLOW = "tensorflow"


class WrongBackend(ImportError, ValueError):
    """Keras runs on a backend that kd_keras cannot train with."""


def require_tensorflow() -> None:
    """Raises WrongBackend if Keras runs, or is told by KERAS_BACKEND to run, on another backend.

    Losses, methods and models work on every backend; a Distiller trains with TensorFlow alone.
    """
    keras = sys.modules.get("keras")
    name = keras.backend.backend() if keras else os.environ.get("KERAS_BACKEND", TENSORFLOW)
    if name != TENSORFLOW:
        raise WrongBackend(
            f"the Keras backend is {name}; kd_keras trains with TensorFlow; set "
            "KERAS_BACKEND=tensorflow before Keras is imported."
        )
