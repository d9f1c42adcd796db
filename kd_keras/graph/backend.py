"""Training needs Keras on TensorFlow: the check, with an error that says what to do."""

import os
import sys

TENSORFLOW = "tensorflow"


class BackendError(ImportError, ValueError):
    """Keras uses a backend that kd_keras cannot train with."""


def require_tensorflow() -> None:
    """Raises BackendError unless Keras uses TensorFlow, or will use it once it is imported.

    Losses, methods and models work on every backend; a Distiller trains with TensorFlow only.
    """
    keras = sys.modules.get("keras")
    name = keras.backend.backend() if keras else os.environ.get("KERAS_BACKEND", TENSORFLOW)
    if name != TENSORFLOW:
        raise BackendError(
            f"the Keras backend is {name}; kd_keras trains with TensorFlow; set "
            "KERAS_BACKEND=tensorflow before Keras is imported."
        )
