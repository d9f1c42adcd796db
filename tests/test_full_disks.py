"""scripts/full_disks.py without root, for some of its writers; and that it knows all of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WRITERS = (
    *("checkpoint", "student.keras", "results.json", "name of the run in it"),
    *("rows of kdk predict", "TensorBoard's curves"),
)


@pytest.mark.slow
def test_full_and_read_only_disks_and_removed_folders_end_in_a_message(tmp_path):
    output = tmp_path / "cases.json"
    command = [sys.executable, str(ROOT / "scripts" / "full_disks.py"), "--without-root"]
    command += [word for name in WRITERS for word in ("--only", name)]
    result = subprocess.run(
        [*command, "--output", str(output)], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stdout + result.stderr[-5000:]
    cases = json.loads(output.read_text())["cases"]
    assert len(cases) == 3 * len(WRITERS)
    assert sum(case["exit_code"] == 2 for case in cases) >= 2 * len(WRITERS)
