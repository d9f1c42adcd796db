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


def imported(folder, tensorflow):
    (folder / "tensorflow.py").write_text(tensorflow)
    (folder / "keras.py").write_text("import tensorflow\n")
    return subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=ROOT,
        env={"PYTHONPATH": f"{folder}:{ROOT}"},
        capture_output=True,
        text=True,
    )


def test_the_noise_of_an_import_is_not_seen_and_stderr_comes_back(tmp_path):
    done = imported(tmp_path, "import os\nos.write(2, b'WARNING: oneDNN')\n")
    assert (done.returncode, done.stderr) == (0, "level 3, then heard")


def test_the_noise_is_shown_when_the_import_fails(tmp_path):
    done = imported(
        tmp_path, "import os\nos.write(2, b'no AVX here')\nraise ImportError('broken')\n"
    )
    assert done.returncode == 1
    assert done.stderr.startswith("no AVX here")
    assert "ImportError: broken" in done.stderr
