"""CPU time of each example, start-up included.

Shows   the last column of examples/README.md.
On      what the examples train on; each in a process of its own, in an empty folder.
Takes   about five CPU minutes.

    python scripts/time_examples.py
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def cpu_seconds() -> float:
    """Of all processes that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    for script in sorted((ROOT / "examples").glob("*.py")):
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"PYTHONPATH": str(ROOT), "KD_KERAS_CACHE": folder}
            before, program = cpu_seconds(), [sys.executable, str(script)]
            subprocess.run(program, cwd=folder, env=environment, check=True, capture_output=True)
            print(f"{script.stem}: {cpu_seconds() - before:.0f} s", flush=True)


if __name__ == "__main__":
    main()
