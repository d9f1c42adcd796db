"""Stand-ins for tensorflow and keras write to the file descriptor, as their C++ parts do."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = """
import os
from kd_keras.cli import quiet
quiet.import_tensorflow()
os.write(2, f"level {os.environ['TF_CPP_MIN_LOG_LEVEL']}, then heard".encode())
"""

CONFIG = """
class config:
    def list_physical_devices(kind):
        return []
"""


def imported(folder, tensorflow, *, keras="import tensorflow\n", then=""):
    (folder / "tensorflow.py").write_text(CONFIG + tensorflow)
    (folder / "keras.py").write_text(keras)
    return subprocess.run(
        [sys.executable, "-c", CODE + then],
        cwd=ROOT,
        env={"PYTHONPATH": f"{folder}:{ROOT}"},
        capture_output=True,
        text=True,
    )


def test_the_noise_of_an_import_is_not_seen_and_stderr_comes_back(tmp_path):
    result = imported(tmp_path, "import os\nos.write(2, b'WARNING: oneDNN')\n")
    assert (result.returncode, result.stderr) == (0, "level 3, then heard")


def test_the_noise_is_shown_when_the_import_fails(tmp_path):
    result = imported(
        tmp_path, "import os\nos.write(2, b'no AVX here')\nraise ImportError('broken')\n"
    )
    assert result.returncode == 1
    assert result.stderr.startswith("no AVX here")
    assert "ImportError: broken" in result.stderr


def test_keras_does_not_import_scikit_learn_and_others_may(tmp_path):
    keras = "try:\n    import sklearn\nexcept ImportError:\n    sklearn = None\n"
    then = "import keras, sklearn\nassert keras.sklearn is None and sklearn.found\n"
    (tmp_path / "sklearn.py").write_text("found = True\n")
    result = imported(tmp_path, "", keras=keras, then=then)
    assert (result.returncode, result.stderr) == (0, "level 3, then heard")
