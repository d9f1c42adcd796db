"""TensorFlow imported without the lines that it prints while it starts."""

import os
import sys
import tempfile

from kd_keras import backend


def import_tensorflow() -> None:
    """Imports tensorflow and keras with stderr set aside; shows it if the import fails.

    TF_CPP_MIN_LOG_LEVEL=3 silences only what comes after TensorFlow's logging has started, so
    the file descriptor itself is turned away meanwhile.

    Raises ValueError where KERAS_BACKEND names another backend; without it, ~/.keras/keras.json
    does not count here.
    """
    backend.require_tensorflow()
    os.environ.setdefault("KERAS_BACKEND", backend.TENSORFLOW)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        # Keras imports scikit-learn, where there is one, for wrappers that no command uses.
        unwanted = "sklearn" not in sys.modules
        if unwanted:
            sys.modules["sklearn"] = None  # type: ignore[assignment]
        try:
            import keras  # noqa: F401
            import tensorflow  # noqa: F401
        except Exception:
            aside.seek(0)
            os.write(kept, aside.read())
            raise
        finally:
            if unwanted:
                del sys.modules["sklearn"]
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
