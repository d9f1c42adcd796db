"""Every method builds and has a finite loss on the other backends of Keras.

`.ci/nightly` runs it on JAX; on TensorFlow, test_contract.py and test_contract_losses.py ask more.
"""

import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="the contract suites ask for more on TensorFlow"
)


def features(model, taps, images):
    """The model's taps and logits, (B, ...) each; of a second view under <tap>_view2."""
    names = {*taps, "logits"}
    tapped = keras.Model(model.input, {name: model.get_layer(name).output for name in names})
    views = [images] if images.ndim == 4 else [images[:, 0], images[:, 1]]
    outputs = dict(tapped(views[0]))
    for view in views[1:]:
        outputs |= {f"{name}_view2": value for name, value in tapped(view).items()}
    return outputs


@pytest.mark.parametrize("name", methods.names())
def test_a_method_builds_and_its_loss_is_finite(name, pair):
    method = pair.method(name)
    student, teacher = pair.student(), None if method.teacher_free else pair.teacher()
    x, labels = pair.batch(method)
    student_says = features(student, method.student_taps, x["inputs"])
    teacher_says = features(teacher, method.teacher_taps, x["inputs"]) if teacher else {}
    shapes = [
        {tap: (None, *value.shape[1:]) for tap, value in outputs.items() if "_view2" not in tap}
        for outputs in (student_says, teacher_says)
    ]
    method.build_for(*shapes)
    method.attach(student, teacher)
    batch = Batch(labels, x["id"], x["inputs"])
    for loss in (method, method.first_stage_call) if method.first_stage else (method,):
        losses = np.asarray(loss(student=student_says, teacher=teacher_says, batch=batch))
        assert losses.shape == labels.shape
        assert losses.dtype == "float32"
        assert np.all(np.isfinite(losses))
