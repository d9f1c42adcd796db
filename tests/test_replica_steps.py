"""The quick suite's one training on two devices; test_replicas.py has all cases, and is slow."""

import subprocess
import sys
from pathlib import Path

import numpy as np


def test_a_few_steps_on_two_devices_give_the_weights_of_one(tmp_path):
    script = Path(__file__).with_name("replica_steps.py")
    command = [sys.executable, str(script), str(tmp_path / "weights.npz")]
    result = subprocess.run(command, capture_output=True, text=True, cwd=script.parents[1])
    assert result.returncode == 0, result.stderr[-5000:]
    weights = np.load(tmp_path / "weights.npz")
    paths = [name.removeprefix("one ") for name in weights if name.startswith("one ")]
    assert len(paths) == 6
    for path in paths:
        start, one, two = (weights[f"{place} {path}"] for place in ("start", "one", "two"))
        assert np.max(np.abs(one - start)) > 1e-3, path
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-6, err_msg=path)
