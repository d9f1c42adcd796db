import numpy as np
import tensorflow as tf

from kd_keras.data import elements


def batch(step):
    step = int(step)
    return np.full((2, 3), step, np.uint8), np.array([step, step + 1]), np.zeros(2, np.int32)


def specs():
    return elements.specs(2, (3,))


def test_a_dataset_has_the_shapes_of_its_specs_and_the_order_of_its_steps():
    dataset = elements.dataset(batch, range(3, 8), specs(), threads=4)
    assert dataset.cardinality() == 5
    assert [x["id"][0].numpy() for x, _ in dataset] == [3, 4, 5, 6, 7]
    x, y = dataset.element_spec
    assert (x["inputs"].shape, x["id"].shape, y.shape) == ((2, 3), (2,), (2,))


def test_arrays_with_names_are_shares_and_a_teacher_s_outputs():
    def more(step):
        return *batch(step), np.ones(2, np.float32), np.zeros((2, 4), np.float32)

    wide = [*specs(), tf.TensorSpec((2,), tf.float32), tf.TensorSpec((2, 4), tf.float32)]
    ((x, _),) = elements.dataset(more, range(1), wide, [elements.OWN_LABEL_SHARE, "logits"])
    assert set(x) == {"inputs", "id", "share", "teacher"}
    assert x["teacher"]["logits"].shape == (2, 4)


def test_labels_of_mixed_images_are_rows_of_probabilities():
    _, _, labels, share = elements.specs(2, (3,), mixed_classes=7)
    assert labels == tf.TensorSpec((2, 7), tf.float32)
    assert share == tf.TensorSpec((2,), tf.float32)


def test_steps_before_the_first_are_zeros():
    wrapped = elements.placeholders_before(5, batch, specs())
    assert [array.sum() for array in wrapped(4)] == [0, 0, 0]
    np.testing.assert_array_equal(wrapped(5)[0], batch(5)[0])


def test_labels_of_mixed_images_before_the_first_step_are_probabilities():
    mixed = elements.specs(2, (3,), mixed_classes=7)
    labels = elements.placeholders_before(5, batch, mixed)(4)[2]
    np.testing.assert_array_equal(labels, np.eye(7)[[0, 0]])
