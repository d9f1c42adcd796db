"""The Distiller takes token ids, texts and tables, whose models no image ever meets."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kd_keras import Distiller, methods
from kd_keras.graph import twins

WORDS, LENGTH, CLASSES = 20, 6, 3


def classifier(width, *, length=LENGTH, name=None):
    ids = keras.Input((length,), dtype="int32")
    words = layers.Embedding(WORDS, width, mask_zero=True)(ids)
    total = layers.Add()([words, layers.MultiHeadAttention(2, width)(words, words)])  # keeps masks
    words = layers.LayerNormalization()(total)
    pooled = layers.GlobalAveragePooling1D(name="pooled")(words)
    return keras.Model(ids, layers.Dense(CLASSES)(pooled), name=name)


class Subclassed(keras.Model):
    """Its layers are unknown to Keras's graph, so its head is found out by running it."""

    def __init__(self):
        super().__init__()
        self.embedding = layers.Embedding(WORDS, 64)
        self.scores = layers.Dense(CLASSES)

    def call(self, ids):
        return self.scores(keras.ops.mean(self.embedding(ids), axis=1))


@pytest.fixture(scope="module")
def ids():
    """(16, LENGTH) int32 with 0 where a text has ended."""
    texts_as_numbers = np.random.default_rng(0).integers(1, WORDS, (16, LENGTH)).astype("int32")
    texts_as_numbers[np.arange(LENGTH) >= np.arange(16)[:, None] % LENGTH + 1] = 0
    return texts_as_numbers


@pytest.fixture(scope="module")
def labels():
    return np.random.default_rng(1).integers(0, CLASSES, 16)


@pytest.mark.parametrize("folded", [False, True])
def test_the_step_sees_the_masks_of_the_model(ids, folded):
    model = classifier(8)
    outputs, _ = twins.Twin(model, ["pooled"], folded=folded)(ids, training=False)
    np.testing.assert_allclose(outputs["logits"], model(ids), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_token_ids_reach_the_embeddings_whole(ids, labels, one_step, precision):
    student, teacher = classifier(4), classifier(8)
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"), precision=precision)
    before = student.get_weights()[0].copy()
    logs = one_step(distiller, ids, labels)
    assert np.isfinite(float(logs["loss"]))
    moved = np.any(student.get_weights()[0] != before, axis=-1)
    used = np.isin(np.arange(WORDS), ids[ids > 0])
    np.testing.assert_array_equal(moved, used)  # exactly the words of the batch


def test_a_subclassed_teacher_of_a_small_vocabulary_is_asked_for_words_that_it_has(ids, labels):
    teacher = Subclassed()
    teacher(ids)
    distiller = Distiller(classifier(4), teacher=teacher, methods=methods.get("kd"))
    assert distiller.teacher is teacher


def test_texts_are_looked_up_inside_the_model(labels, one_step):
    texts = tf.constant([f"word{n % 5} word{n % 3}" for n in range(16)])
    lookup = layers.TextVectorization(max_tokens=WORDS, output_sequence_length=LENGTH)
    lookup.adapt(texts)

    def of_texts(width):
        words = keras.Input((), dtype="string")
        return keras.Model(words, classifier(width)(lookup(words)))

    student, teacher = of_texts(4), of_texts(8)
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
    twin_logits = twins.Twin(student)(texts, training=False)[0]["logits"]
    np.testing.assert_allclose(twin_logits, student(texts), rtol=1e-5, atol=1e-6)
    assert np.isfinite(float(one_step(distiller, texts, labels)["loss"]))


def test_columns_by_name_reach_both_models(labels, one_step):
    table = {"age": np.arange(16.0)[:, None], "colour": np.arange(16)[:, None] % 4}

    def of_columns(width):
        age, colour = keras.Input((1,), name="age"), keras.Input((1,), name="colour", dtype="int32")
        hidden = layers.Concatenate()([age, layers.Flatten()(layers.Embedding(4, width)(colour))])
        return keras.Model({"age": age, "colour": colour}, layers.Dense(CLASSES)(hidden))

    def loss(term, table):
        """Of a step; for "kd" the student is constant, so that it depends on the teacher alone."""
        keras.utils.set_random_seed(0)
        student, teacher = of_columns(2), of_columns(4)
        if term == "kd":
            student.layers[-1].kernel.assign(keras.ops.zeros_like(student.layers[-1].kernel))
        distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
        return float(one_step(distiller, table, labels)[term])

    changes = {"age": table["age"] + 1, "colour": (table["colour"] + 1) % 4}
    for term in ("ce", "kd"):
        before = loss(term, table)
        assert np.isfinite(before)
        assert loss(term, table) == before
        for name, column in changes.items():
            assert loss(term, table | {name: column}) != pytest.approx(before)


def test_the_error_for_texts_of_two_lengths_does_not_mention_images():
    with pytest.raises(
        ValueError, match=r"'s' takes inputs of \(6\) and the teacher 't' of \(9\)"
    ) as e:
        Distiller(classifier(4, name="s"), teacher=classifier(8, length=9, name="t"))
    assert "image" not in str(e.value)
