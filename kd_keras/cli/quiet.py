"""Imports TensorFlow for `kdk`, without its start-up lines and modules that no command uses."""

import os
import sys

from kd_keras.graph import backend, quiet_import


def import_tensorflow() -> None:
    """Imports tensorflow and keras, quietly; shows what they printed if the import fails.

    Raises ValueError where KERAS_BACKEND names another backend; without it, ~/.keras/keras.json
    does not count here.
    """
    backend.require_tensorflow()
    os.environ.setdefault("KERAS_BACKEND", backend.TENSORFLOW)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Keras imports scikit-learn, where there is one, for wrappers that no command uses.
    hides_sklearn = "sklearn" not in sys.modules
    if hides_sklearn:
        sys.modules["sklearn"] = None  # type: ignore[assignment]
    try:
        quiet_import.import_keras()
    finally:
        if hides_sklearn:
            del sys.modules["sklearn"]
