import numpy as np


def test_a_keras_teacher_runs_in_inference_mode(example):
    images = example.split.images[:3]
    expected = example.teacher(images.astype("float32"), training=False)
    np.testing.assert_allclose(example.ask(images)["logits"], expected, rtol=1e-5, atol=1e-6)
