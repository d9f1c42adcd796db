import numpy as np
import pytest
from keras import ops

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.gkl import gkl, mean_rows


def golden(arrays, config):
    teacher = arrays["teacher_logits"]
    if config["uses_class_prior"]:
        priors = ops.take(arrays["class_prior"], arrays["labels"], axis=0)
    else:
        priors = ops.softmax(teacher / config["prior_temperature"], axis=-1)
    return gkl(
        arrays["student_logits"],
        teacher,
        priors,
        temperature=config["temperature"],
        exponent=config["gamma"],
        soft_target_weight=config["alpha"],
        difference_weight=config["beta"],
    )


GOLDENS = {"gkl": golden}


def test_equals_the_sums_by_hand():
    # Uniform student: sce = ln 2. Two classes of weight 1/2, d = (1, 0): the sum over pairs is
    # 2 * 1/4 * 1, over weights 1, so mse = 1/4 * 1/2 = 1/8.
    result = gkl(
        np.zeros((1, 2), "float32"),
        np.array([[1.0, 0.0]], "float32"),
        np.full((1, 2), 0.5, "float32"),
        temperature=1.0,
        exponent=1.0,
        soft_target_weight=2.0,
        difference_weight=4.0,
    )
    np.testing.assert_allclose(result["loss_sce"], [np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(result["loss_mse"], 1 / 8, rtol=1e-6)
    np.testing.assert_allclose(result["loss"], [2 * np.log(2) + 1 / 2], rtol=1e-6)


def test_mean_rows_by_hand():
    sums = np.array([[3.0, 1.0], [0.0, 0.0]], "float32")
    np.testing.assert_allclose(mean_rows(sums), [[0.75, 0.25], [0, 0]])


def test_priors_are_the_means_of_the_classes_so_far():
    method = methods.get("gkl", prior_temperature=1.0, exponent=1.0, soft_target_weight=0.0)
    shapes = {"logits": (None, 2)}
    method.build_for(shapes, shapes)
    student = {"logits": np.zeros((2, 2), "float32")}
    teacher = {"logits": np.log(np.array([[3.0, 1.0], [1.0, 1.0]], "float32"))}

    def loss(**how):
        batch = Batch(np.array([0, 0]), **how)
        return np.asarray(method(student=student, teacher=teacher, batch=batch))[0]

    # (3/4, 1/4) and (1/2, 1/2), both of class 0: their mean is (5/8, 3/8). d = (ln 3, 0) in one
    # example of two: 16 * 1/4 * 2 * w1 w2 * ln(3)^2 / 2.
    expected = 4 * (5 / 8) * (3 / 8) * np.log(3) ** 2
    np.testing.assert_allclose(loss(), expected, rtol=1e-5)
    np.testing.assert_allclose(method.class_sums, [[1.25, 0.75], [0, 0]], rtol=1e-6)
    teacher["logits"][:] = 0  # (1/2, 1/2) twice more: (9/16, 7/16) of four; d = 0
    assert loss() == 0
    np.testing.assert_allclose(method.class_sums, [[2.25, 1.75], [0, 0]], rtol=1e-6)
    loss(training=False)
    np.testing.assert_allclose(method.class_sums, [[2.25, 1.75], [0, 0]], rtol=1e-6)


def test_without_class_priors_it_needs_no_labels_and_keeps_nothing():
    method = methods.get("gkl", class_prior=False)
    shapes = {"logits": (None, 3)}
    method.build_for(shapes, shapes)
    assert (method.needs_labels, method.variables) == (False, [])


def test_refuses_other_than_true_or_false():
    with pytest.raises(ValueError, match="class_prior is 'yes'; expected one of"):
        methods.get("gkl", class_prior="yes")
