import numpy as np
import pytest

from kd_keras.data.stores.store import Split


def test_a_subset_keeps_the_file_and_the_ids(images_of):
    images = images_of(6)
    split = Split(images, np.arange(6, dtype=np.int32), np.arange(6))
    part = split.take(np.array([5, 1, 2])).take(np.array([0, 2]))
    assert part.images is images
    assert part.ids.tolist() == part.labels.tolist() == [5, 2]
    np.testing.assert_array_equal(part.images_at(slice(1, 2)), images[2:3])


@pytest.mark.parametrize(
    ("labels", "ids", "message"),
    [([0, 1], [0], "2 labels and 1 ids"), ([0], [6], "from 6 to 6; expected rows of 6 images")],
)
def test_labels_and_ids_must_fit(images_of, labels, ids, message):
    with pytest.raises(ValueError, match=message):
        Split(images_of(6), np.array(labels), np.array(ids))


def test_images_must_be_bytes(images_of):
    with pytest.raises(
        ValueError, match=r"images are float32 of 4 dimensions; expected uint8 .*Convert"
    ):
        Split(images_of(1).astype(np.float32), np.zeros(1), np.zeros(1))
