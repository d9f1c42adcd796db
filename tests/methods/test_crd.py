import math

import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.crd import NOT_FIXED, crd
from kd_keras.methods.parts import vectors


def golden(arrays, config):
    def embedded(whose):
        feature, letter = arrays[f"{whose}_feature"], whose[0]
        kernel, bias = arrays[f"embed_{letter}_kernel"], arrays[f"embed_{letter}_bias"]
        return vectors.unit(keras.ops.matmul(feature, kernel) + bias)

    z = [config[f"z_{whose}"] for whose in ("student", "teacher")]
    parts = crd(
        embedded("student"),
        embedded("teacher"),
        arrays["memory_student"],
        arrays["memory_teacher"],
        arrays["contrast_index"],
        temperature=config["nce_t"],
        momentum=config["nce_m"],
        log_z=tuple(math.log(v) if config["z_given"] else NOT_FIXED for v in z),
    )
    return {
        "loss": parts["loss"],
        "out_z_student": keras.ops.exp(parts["log_z"][0]),
        "out_z_teacher": keras.ops.exp(parts["log_z"][1]),
        "out_memory_student_after": parts["memory_student"],
        "out_memory_teacher_after": parts["memory_teacher"],
    }


GOLDENS = {"crd": golden}
# At the paper's 0.07, what 20 steps on 8 images change is less than what the draws do.
CONTRACT = {"num_examples": 64, "negatives": 64, "temperature": 0.5}


def test_equals_the_contrast_by_hand():
    # T 1, Z 2, one other of four examples: q 1/4. Scores 1 and 0: P = e/2 and 1/2.
    vector = np.array([[1.0, 0.0]], "float32")
    memory = np.array([[1, 0], [0, 1], [0, 1], [0, 1]], "float32")
    parts = crd(
        vector,
        vector,
        memory,
        memory,
        np.array([[0, 1]]),
        temperature=1.0,
        momentum=0.5,
        log_z=(math.log(2), math.log(2)),
    )
    own, other = math.e / 2, 0.5
    expected = -math.log(own / (own + 0.25)) - math.log(0.25 / (other + 0.25))
    np.testing.assert_allclose(parts["loss"], [2 * expected], rtol=1e-6)


array = keras.ops.convert_to_numpy
SHAPES = {"pooled": (None, 6)}, {"pooled": (None, 5)}


def built(**knobs):
    method = methods.get("crd", **{"num_examples": 20, "negatives": 8, **knobs})
    method.build_for(*SHAPES)
    return method


def outputs(batch_size):
    rng = np.random.default_rng(0)
    student, teacher = (
        {"pooled": rng.normal(size=(batch_size, width)).astype("float16")} for width in (6, 5)
    )
    return {"student": student, "teacher": teacher}


def batch(*ids, **more):
    return Batch(labels=np.zeros(len(ids), "int32"), ids=np.array(ids), **more)


@pytest.mark.parametrize("ids", [(3,), (3, 19)])
def test_teaches_student_and_embeddings_in_float16(ids, teaches):
    method = built()
    teaches(method, **outputs(len(ids)), batch=batch(*ids))
    assert len(method.trainable_variables) == 4


def test_is_finite_at_low_temperature_and_for_dead_features(loss_and_gradients):
    dead = {"student": {"pooled": np.zeros((1, 6), "float32")}, "teacher": outputs(1)["teacher"]}
    loss, gradients = loss_and_gradients(built(temperature=1e-3), **dead, batch=batch(0))
    assert all(np.all(np.isfinite(g)) for g in (loss, *gradients.values()))


def test_remembers_what_it_is_trained_on_and_fixes_z_once():
    method = built()
    before = array(method.memory_teacher).copy()
    method(**outputs(2), batch=batch(3, 19))
    after, z = array(method.memory_teacher), array(method.log_z)
    np.testing.assert_array_equal(np.flatnonzero(np.any(after != before, axis=1)), [3, 19])
    np.testing.assert_allclose(np.linalg.norm(after[[3, 19]], axis=1), 1, rtol=1e-6)
    assert np.all(np.isfinite(z))
    method(**outputs(2), batch=batch(4, 5))
    np.testing.assert_array_equal(method.log_z, z)
    method(**outputs(2), batch=batch(7, 8, training=False))
    np.testing.assert_array_equal(array(method.memory_teacher)[7], before[7])


def test_others_are_any_example_but_the_same():
    method = built(num_examples=5, negatives=400)
    negatives = np.array(method._contrast(keras.ops.convert_to_tensor([4, 0])))
    assert negatives[:, 0].tolist() == [4, 0]
    assert [sorted(set(row[1:])) for row in negatives] == [[0, 1, 2, 3], [1, 2, 3, 4]]
    assert np.any(negatives != np.array(method._contrast(keras.ops.convert_to_tensor([4, 0]))))


def test_draws_are_among_the_weights():
    method = built()
    method(**outputs(2), batch=batch(1, 2))
    copy = type(method).from_config(method.get_config())
    copy.build_from_config(method.get_build_config())
    for copied, others in zip(copy.weights, method.weights, strict=True):
        copied.assign(others)
    losses = [m(**outputs(2), batch=batch(3, 4)) for m in (method, copy)]
    np.testing.assert_array_equal(*losses)


def test_refuses_ids_outside_its_memory():
    with pytest.raises(
        ValueError, match=r"ids go from 3 to 20; expected 0 to 19. Set num_examples"
    ):
        built()(**outputs(2), batch=batch(3, 20))


def test_refuses_a_batch_without_ids_and_memories_of_unknown_size():
    with pytest.raises(
        ValueError, match=r"has no ids; .*Use kd_keras\.data\.pipeline, or give batches"
    ):
        built()(**outputs(1), batch=Batch(labels=np.zeros(1, "int32")))
    with pytest.raises(ValueError, match="num_examples is None; expected the number of training"):
        built(num_examples=None)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="traces with tf.function")
def test_ids_that_turn_out_wrong_in_a_traced_step_cost_nan():
    import tensorflow as tf

    method = built()
    labels = np.zeros(2, "int32")
    step = tf.function(lambda ids: method(**outputs(2), batch=Batch(labels=labels, ids=ids)))
    np.testing.assert_array_equal(np.isnan(step(tf.constant([3, 20]))), [False, True])
