import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.cc import cc


def golden(arrays, config):
    student, teacher = arrays["student_feature"], arrays["teacher_feature"]
    if not config["linear_embed"]:
        return cc(student, teacher)
    method = methods.get("cc", embedding_size=config["feat_dim"])
    method.build_for({"pooled": tuple(student.shape)}, {"pooled": tuple(teacher.shape)})
    state = [
        (method.student_embedding.kernel, arrays["embed_s_kernel"]),
        (method.student_embedding.bias, arrays["embed_s_bias"]),
        (method.teacher_embedding.kernel, arrays["embed_t_kernel"]),
        (method.teacher_embedding.bias, arrays["embed_t_bias"]),
    ]
    batch = Batch(labels=np.zeros(student.shape[0], "int32"))
    with keras.StatelessScope(state_mapping=state):
        return {"loss": method({"pooled": student}, {"pooled": teacher}, batch=batch)}


GOLDENS = {"cc": golden}


def test_equals_the_sum_by_hand():
    # Deviations (1, 2), (3, 0), (0, 5): 1*3 + 2*0 = 3 and 0 + 0 = 0, mean over two neighbours.
    student = np.array([[1.0, 2.0], [-3.0, 0.0], [0.0, -5.0]], "float32")
    np.testing.assert_allclose(cc(student, np.zeros((3, 2)))["loss"], 1.5)


def test_is_zero_at_equality_and_where_no_neighbours_miss_together():
    features = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    np.testing.assert_allclose(cc(features, features)["loss"], 0)
    every_second = features + np.array([[1], [0], [1], [0]], "float32")
    np.testing.assert_allclose(cc(every_second, features)["loss"], 0, atol=1e-6)


def test_teaches_both_embeddings_in_float16(teaches):
    method = methods.get("cc", tap="a", embedding_size=5)
    method.build_for({"a": (None, 2, 2, 3)}, {"a": (None, 4)})
    assert len(method.trainable_variables) == 4
    rng = np.random.default_rng(0)
    student = {"a": 50 * rng.normal(size=(3, 2, 2, 3)).astype("float16")}
    teacher = {"a": 50 * rng.normal(size=(3, 4)).astype("float16")}
    loss = teaches(method, student, teacher, Batch(labels=np.zeros(3, "int32")))
    np.testing.assert_allclose(loss, [loss[0]] * 3)


def test_is_zero_for_a_batch_of_one():
    method = methods.get("cc", tap="a", embedding_size=None)
    method.build_for({"a": (None, 4)}, {"a": (None, 4)})
    one = np.ones((1, 4), "float32")
    loss = method({"a": one}, {"a": -one}, batch=Batch(labels=np.zeros(1, "int32")))
    np.testing.assert_array_equal(loss, [0.0])


def test_refuses_unequal_widths_without_embeddings():
    with pytest.raises(
        ValueError, match=r"has 4 values and the teacher's 'a' has 6.*embedding_size="
    ):
        methods.get("cc", tap="a", embedding_size=None).build_for(
            {"a": (None, 4)}, {"a": (None, 6)}
        )
    with pytest.raises(ValueError, match="embedding_size is 0; expected a whole number >= 1"):
        methods.get("cc", embedding_size=0)
