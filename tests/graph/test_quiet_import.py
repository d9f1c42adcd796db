"""What a fresh process prints on stderr while it imports TensorFlow and trains."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORT = "from kd_keras.graph import quiet_import; quiet_import.import_keras()"
FIT = """
import sys
before = sys.stderr
from kd_keras import Distiller, methods, models
assert sys.stderr is before
import numpy as np
student, teacher = (
    models.get("plain_cnn4", num_classes=3, input_shape=(8, 8, 1), width=0.25) for _ in range(2)
)
distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
distiller.compile()
images, labels = np.zeros((8, 8, 8, 1)), np.zeros(8, int)
distiller.fit(images, labels, validation_data=(images, labels), verbose=0)
"""
# Stand-ins write to the descriptor, as TensorFlow's C++ parts do, and to sys.stderr.
KERAS = """
import os, sys, warnings
os.write(2, b"noise of C++\\n")
warnings.warn("a warning of Python")
"""


def stderr_of(code, *folders):
    paths = os.pathsep.join(map(str, [*folders, ROOT]))
    environment = {n: v for n, v in os.environ.items() if n != "TF_CPP_MIN_LOG_LEVEL"}
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**environment, "PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": "-1"},
    )
    assert result.returncode == 0, result.stderr
    return result.stderr


def test_importing_and_fitting_a_distiller_prints_nothing():
    assert stderr_of(FIT) == ""


def test_warnings_of_python_are_shown_and_what_follows_is_not_touched(tmp_path):
    (tmp_path / "keras.py").write_text(KERAS)
    then = "import os; os.write(2, b'an error of C++')"
    stderr = stderr_of(f"{IMPORT}; {then}", tmp_path)
    assert "UserWarning: a warning of Python" in stderr
    assert "noise" not in stderr
    assert stderr.endswith("an error of C++")


def test_an_import_by_the_user_is_not_touched(tmp_path):
    (tmp_path / "keras.py").write_text(KERAS)
    assert stderr_of(f"import keras; {IMPORT}", tmp_path).startswith("noise of C++\n")
    stand_in = "import sys; sys.modules['tensorflow'] = sys"
    assert stderr_of(f"{stand_in}; {IMPORT}; assert 'keras' not in sys.modules") == ""
