import os
import subprocess
import sys

import pytest

from kd_keras.graph import backend

MESSAGE = "kd_keras trains with TensorFlow; set KERAS_BACKEND=tensorflow"


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_kdk_and_the_distiller_refuse_another_backend(name):
    """Keras itself is not imported: the backend may not even be installed."""
    code = (
        "import kd_keras, sys\n"
        "from kd_keras.cli import kdk\n"
        "try:\n"
        "    kd_keras.Distiller\n"
        "except ImportError as error:\n"
        "    print(error)\n"
        "assert 'keras' not in sys.modules\n"
        "kdk(['train', '--dataset', 'digits'])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": name},
        capture_output=True,
        text=True,
    )
    assert MESSAGE in result.stdout
    assert result.returncode == 2
    (line,) = result.stderr.strip().splitlines()
    assert line == f"kdk: the Keras backend is {name}; {MESSAGE} before Keras is imported."


def test_a_keras_that_runs_on_another_backend_is_refused(monkeypatch):
    import keras

    backend.require_tensorflow()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(backend.BackendError, match=f"is jax; {MESSAGE}"):
        backend.require_tensorflow()
