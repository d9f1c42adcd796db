"""What programs that start quickly, or run without Keras, must not import."""

import subprocess
import sys


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, kd_keras, kd_keras.cli\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'matplotlib', 'sklearn', 'pydantic', 'rich'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or None)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, f"imported at start: {result.stderr}"


def test_writing_a_cache_needs_no_keras():
    """A teacher of another framework writes its cache in a program without TensorFlow."""
    code = (
        "import sys, kd_keras.teacher_cache.writer\n"
        "sys.exit(', '.join(sorted({'tensorflow', 'keras'} & set(sys.modules))) or None)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, f"imported with the writer: {result.stderr}"
