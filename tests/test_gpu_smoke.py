"""A step on a GPU in each precision, where the machine has one; skipped elsewhere."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller, methods

ROOT = Path(__file__).parent.parent
GPU = bool(tf.config.list_physical_devices("GPU"))


@pytest.mark.skipif(not GPU, reason="this machine has no GPU")
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_distiller_trains_on_a_gpu(precision, net, teacher, images, labels):
    student = net("student")
    before = student.get_weights()
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"), precision=precision)
    distiller.compile(keras.optimizers.SGD(0.1))
    history = distiller.fit(images, labels, batch_size=16, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert all("GPU" in variable.value.device for variable in student.trainable_variables)
    after = student.get_weights()
    assert any(np.any(new != old) for new, old in zip(after, before, strict=True))


def test_a_page_lists_the_parts_that_no_gpu_has_run():
    package = ROOT / "kd_keras"
    marked = [path for path in package.rglob("*.py") if "No GPU has run this" in path.read_text()]
    page = (ROOT / "docs" / "how-to" / "devices.md").read_text().partition("## What no GPU")[2]
    listed = re.findall(r"^- `(\S+)`", page, re.MULTILINE)
    assert sorted(listed) == sorted(str(path.relative_to(package)) for path in marked)
