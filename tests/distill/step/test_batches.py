import keras
import numpy as np
import pytest

from kd_keras.distill.step import batches

X, Y = np.zeros((3, 8, 8, 3), "float32"), np.array([2, 0, 1])


def test_plain_batches():
    examples = batches.unpack((X, Y))
    assert examples.inputs is X
    assert examples.sample_weight is examples.ids is examples.teacher is None
    weighted = batches.unpack((X, Y, np.array([[1.0], [2.0], [0.0]])))
    np.testing.assert_array_equal(weighted.sample_weight, [1, 2, 0])


@pytest.mark.parametrize("labels", [Y, Y[:, None], Y.astype("float32"), Y.astype("int64")])
def test_class_labels_of_any_form_become_int32(labels):
    result = batches.unpack((X, labels)).labels
    np.testing.assert_array_equal(result, Y)
    assert keras.backend.standardize_dtype(result.dtype) == "int32"


def test_probabilities_stay():
    result = batches.unpack((X, np.eye(3, dtype="int64")[Y])).labels
    np.testing.assert_array_equal(result, np.eye(3)[Y])
    assert keras.backend.standardize_dtype(result.dtype) == "float32"


def test_batches_of_the_data_pipeline():
    teacher = {"logits": np.ones((3, 5))}
    x = {"inputs": X, "id": np.array([7, 8, 9])}
    assert batches.model_inputs(x) is X
    examples = batches.unpack(({**x, "teacher": teacher}, Y))
    assert examples.inputs is X
    assert examples.teacher is teacher
    np.testing.assert_array_equal(examples.ids, [7, 8, 9])


@pytest.mark.parametrize(
    "x", [{"a": X}, {"inputs": X}, {"inputs": X, "id": Y, "more": X}, {"id": Y, "teacher": X}, [X]]
)
def test_any_other_structure_goes_to_the_models_untouched(x):
    assert batches.model_inputs(x) is x
    examples = batches.unpack((x, Y))
    assert examples.inputs is x
    assert examples.ids is examples.teacher is None


def test_labels_that_cannot_be_used_are_refused():
    with pytest.raises(ValueError, match=r"a batch came without labels, .* expected \(x, y\)"):
        batches.unpack((X,))
    with pytest.raises(ValueError, match=r"labels have shape \(3, 2, 2\); expected one tensor"):
        batches.unpack((X, np.zeros((3, 2, 2))))
    with pytest.raises(ValueError, match="labels are a dict; expected one tensor"):
        batches.unpack((X, {"a": Y, "b": Y}))


def test_mixed_images_are_recognised_by_their_shares():
    x = {"inputs": X, "id": np.array([7, 8, 9]), "share": np.ones(3, "float32")}
    soft = np.eye(3, dtype="float32")[Y]
    assert batches.model_inputs(x) is X
    assert batches.unpack((x, soft)).mixed
    x.pop("share")
    assert not batches.unpack((x, soft)).mixed


def test_mixed_images_have_no_sample_weights():
    x = {"inputs": X, "id": np.array([7, 8, 9]), "share": np.ones(3, "float32")}
    with pytest.raises(
        ValueError, match=r"images are mixed .*sample or class weights; expected no"
    ):
        batches.unpack((x, np.eye(3)[Y], np.ones(3)))
