import numpy as np
import pytest

from kd_keras.methods.parts import singular


@pytest.fixture(params=[(6, 4), (3, 7)], ids=["tall", "wide"])
def matrices(request):
    return np.random.default_rng(0).normal(size=(2, *request.param)).astype("float32")


def by_numpy(matrix, direction):
    right = np.linalg.svd(matrix.astype("float64"), full_matrices=False)[2][:4]
    cosines = right @ direction
    choice = np.argmax(np.abs(cosines))
    return np.sign(cosines[choice]) * right[choice]


def test_vectors_are_those_of_numpys_decomposition(matrices):
    parts = singular.decompose(50 * matrices)
    for matrix, actual in zip(matrices, singular.leading_vector(parts), strict=True):
        expected = np.linalg.svd(matrix)[2][0]
        np.testing.assert_allclose(actual, expected * np.sign(expected.sum()), atol=1e-5)
    direction = np.ones((2, matrices.shape[-1]), "float32")
    for matrix, actual in zip(
        matrices, singular.nearest_vector(parts, direction, among=4), strict=True
    ):
        np.testing.assert_allclose(actual, by_numpy(matrix, direction[0]), atol=1e-5)


def test_gradient_is_that_of_the_decomposition(matrices, autodiff):
    count = matrices.shape[-1]
    direction = np.ones((2, count), "float32")
    readout = np.arange(count, dtype="float32")

    def loss(tensors):
        parts = singular.decompose(tensors["x"])
        return {"loss": singular.nearest_vector(parts, direction, among=4) * readout * count * 2}

    _, gradients = autodiff.values_and_gradients(loss, {"x": matrices}, [("loss", "x")])
    step = 1e-5 * np.random.default_rng(1).normal(size=matrices.shape)
    slope = 0.0
    for matrix, change in zip(matrices.astype("float64"), step, strict=True):
        up, down = (by_numpy(matrix + sign * change, direction[0]) for sign in (1, -1))
        slope += readout @ (up - down) / 2
    np.testing.assert_allclose(np.sum(gradients["loss", "x"] * step), slope, rtol=1e-3)


def test_equal_singular_values_give_finite_gradients(autodiff):
    alike = np.stack([np.eye(3), np.zeros((3, 3)), np.ones((3, 3))]).astype("float32")
    direction = np.array([[0.1, 0.2, 0.3]] * 3, "float32")

    def loss(tensors):
        return {
            "loss": singular.nearest_vector(singular.decompose(tensors["x"]), direction, among=4)
        }

    results, gradients = autodiff.values_and_gradients(loss, {"x": alike}, [("loss", "x")])
    assert np.all(np.isfinite(results["loss"]))
    assert np.all(np.isfinite(gradients["loss", "x"]))
