import numpy as np
import pytest

from kd_keras.distill.step import image_views
from kd_keras.methods.base import Batch


def test_models_see_the_views_image_by_image_and_methods_see_them_apart():
    images = np.arange(2 * 2 * 3).reshape(2, 2, 1, 1, 3)
    together = np.asarray(image_views.flatten(images, 2))
    np.testing.assert_array_equal(together[:, 0, 0, 0], [0, 3, 6, 9])
    outputs = image_views.separate({"logits": together}, 2)
    np.testing.assert_array_equal(outputs["logits"][:, 0, 0, 0], [0, 6])
    np.testing.assert_array_equal(outputs["logits_view2"][:, 0, 0, 0], [3, 9])


def test_each_input_of_a_structure_has_its_views_put_together():
    images = np.arange(2 * 2 * 3).reshape(2, 2, 1, 1, 3)
    together = image_views.flatten({"left": images, "right": images + 1}, 2)
    np.testing.assert_array_equal(together["right"][:, 0, 0, 0], [1, 4, 7, 10])
    first = image_views.with_first_view(lambda *, batch: batch.inputs, 2)
    left = first(batch=Batch(np.zeros(2), inputs=together))["left"]
    np.testing.assert_array_equal(left[:, 0, 0, 0], [0, 6])
    with pytest.raises(ValueError, match=r"inputs have shape \(2, 3\); expected .* every input"):
        image_views.flatten({"image": images, "size": np.zeros((2, 3))}, 2)


def test_one_view_stays_as_it_is():
    images = np.zeros((2, 8, 8, 3))
    assert image_views.flatten(images, 1) is images


@pytest.mark.parametrize("shape", [(2, 8, 8, 3), (2, 3, 8, 8, 3)])
def test_another_number_of_views_is_refused(shape):
    with pytest.raises(ValueError, match=r"inputs have shape \(2, .*expected \(B, 2, H, W, C\)"):
        image_views.flatten(np.zeros(shape), 2)
