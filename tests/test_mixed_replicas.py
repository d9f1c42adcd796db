"""Strong augmentation with mixing gives the same training on one, two and four devices."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow


def trained(count, folder):
    script, path = Path(__file__).with_name("mixed_replicas.py"), folder / f"{count}.json"
    command = [sys.executable, str(script), str(count), str(path)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=script.parents[1])
    assert result.returncode == 0, result.stderr[-5000:]
    return json.loads(path.read_text())


def test_mixed_batches_train_alike_on_one_two_and_four_replicas(tmp_path):
    one, *others = (trained(count, tmp_path) for count in (1, 2, 4))
    for count, other in zip((2, 4), others, strict=True):
        assert other["replicas"] == count
        for expected, weights in zip(one["weights"], other["weights"], strict=True):
            np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-6)
        assert other["history"] == pytest.approx(one["history"], rel=1e-5, abs=1e-6)
