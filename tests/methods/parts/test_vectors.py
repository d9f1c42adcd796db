import numpy as np
import pytest

from kd_keras.methods.parts import vectors


def gradient(autodiff, function, array):
    _, gradients = autodiff.values_and_gradients(
        lambda tensors: {"loss": function(tensors["x"])}, {"x": array}, [("loss", "x")]
    )
    return gradients["loss", "x"] * array.size  # the mean over entries is differentiated


def test_unit_vectors_by_hand():
    result = vectors.unit(np.array([[3.0, 4.0], [0.0, 0.0]], "float16"))
    np.testing.assert_allclose(result, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
    # Shorter than the floor of 1e-12: divided by the floor.
    np.testing.assert_allclose(vectors.unit(np.array([[1e-13]], "float32")), [[0.1]], rtol=1e-5)
    columns = vectors.unit(np.array([[3.0], [4.0]], "float32"), axis=0)
    np.testing.assert_allclose(columns, [[0.6], [0.8]], rtol=1e-6)


@pytest.mark.parametrize("function", [vectors.unit, vectors.norm, vectors.magnitude])
def test_gradient_at_the_zero_vector_is_zero(function, autodiff):
    result = gradient(autodiff, function, np.zeros((1, 3), "float32"))
    np.testing.assert_array_equal(result, np.zeros((1, 3)))


def test_magnitude_and_its_slope(autodiff):
    values = np.array([-2.0, 0.0, 3.0], "float32")
    np.testing.assert_array_equal(vectors.magnitude(values), [2.0, 0.0, 3.0])
    result = gradient(autodiff, vectors.magnitude, values)
    np.testing.assert_allclose(result, [-1.0, 0.0, 1.0])


def test_flat_keeps_the_order_of_the_entries():
    features = np.arange(24).reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(vectors.flat(features), np.arange(24).reshape(2, 12))
