import keras
import numpy as np
import pytest
from keras import layers

from kd_keras import methods
from kd_keras.methods.embed import embed

rng = np.random.default_rng(0)
STUDENT = rng.normal(size=(6, 4)).astype("float32")
TEACHER = rng.normal(size=(6, 4)).astype("float32")


def test_the_cosine_is_the_squared_distance_of_unit_vectors():
    # (3, 4) and (4, 3) have the cosine 24/25; opposite vectors are at a distance of 2.
    a, b = np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[8.0, 6.0], [-5.0, 0.0]])
    np.testing.assert_allclose(embed(a, b)["loss"], [2 - 2 * 24 / 25, 4.0], rtol=1e-5)
    np.testing.assert_allclose(embed(STUDENT, 3 * STUDENT)["loss"], 0, atol=1e-6)
    np.testing.assert_allclose(embed(STUDENT, np.zeros((6, 4)))["loss"], 1, rtol=1e-6)


def test_the_squared_distance_is_a_mean_over_the_entries():
    result = embed(STUDENT, TEACHER, distance="squared")["loss"]
    np.testing.assert_allclose(result, np.square(STUDENT - TEACHER).mean(axis=1), rtol=1e-6)
    assert np.all(np.asarray(embed(STUDENT, 3 * STUDENT, distance="squared")["loss"]) > 0)


def test_it_reads_neither_labels_nor_logits():
    method = methods.get("embed")
    assert (method.needs_labels, method.reads_teacher_logits) == (False, False)
    assert method.student_taps == method.teacher_taps == ("pooled",)
    assert methods.get("embed", teacher_tap="output").teacher_taps == ("logits",)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match=r"embed: distance is 'cos'; .* Did you mean 'cosine'"):
        methods.get("embed", distance="cos")
    maps, vector = {"pooled": (None, 4, 4, 8)}, {"pooled": (None, 8)}
    with pytest.raises(ValueError, match=r"the student's tap 'pooled' has shape \(None, 4, 4, 8\)"):
        methods.get("embed").build_for(maps, vector)
    with pytest.raises(ValueError, match="first_stage is 2; expected a finite number >= 0"):
        methods.get("embed", first_stage=2)


tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a Distiller trains on TensorFlow"
)


@pytest.fixture(scope="module")
def tower():
    """An image tower: it ends with an embedding of 7 numbers and has no classifier."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 3))
    maps = layers.Conv2D(40, 3, strides=2, activation="relu")(inputs)
    maps = layers.Conv2D(7, 3, activation="relu")(maps)
    return keras.Model(inputs, layers.GlobalAveragePooling2D(name="embedding")(maps), name="tower")


def batches(count=24):
    rng = np.random.default_rng(1)
    images = rng.normal(size=(count, 8, 8, 3)).astype("float32")
    return images, rng.integers(0, 5, size=count)


@tensorflow
@pytest.mark.parametrize("tap", ["output", pytest.param("embedding", marks=pytest.mark.extended)])
def test_a_tower_without_a_classifier_teaches_without_labels(pair, tower, tap):
    from kd_keras import Distiller

    method = methods.get("embed", teacher_tap=tap)
    distiller = Distiller(pair.student(), teacher=tower, methods=method, validate_teacher=True)
    distiller.compile(keras.optimizers.Adam(0.01))
    images, labels = batches()
    logs = distiller.fit(images, epochs=8, batch_size=8, verbose=0).history
    assert logs["embed"][-1] < 0.5 * logs["embed"][0]
    assert "agreement" not in logs
    values = distiller.evaluate(images, labels, verbose=0, return_dict=True)
    assert set(values) == {"loss", "ce", "embed"}


@tensorflow
def test_methods_that_read_logits_are_refused_with_a_tower(pair, tower):
    from kd_keras import Distiller

    both_methods = [methods.get("embed", teacher_tap="output"), methods.get("kd")]
    with pytest.raises(ValueError, match=r"5 classes and the teacher 7; .* kd cannot learn from"):
        Distiller(pair.student(), teacher=tower, methods=both_methods)


@tensorflow
def test_the_first_stage_learns_the_embedding_and_the_second_the_labels(pair, tower):
    from kd_keras import Distiller

    method = methods.get("embed", teacher_tap="output", first_stage=0.5, main_stage_weight=0)
    distiller = Distiller(pair.student(), teacher=tower, methods=method)
    distiller.compile(keras.optimizers.SGD(0.05))
    images, labels = batches()
    head = distiller.student.get_layer("logits")
    before, after = head.kernel.numpy(), []

    class Head(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            after.append(head.kernel.numpy())

    logs = distiller.fit(
        images, labels, epochs=4, batch_size=8, verbose=0, callbacks=[Head()]
    ).history
    np.testing.assert_array_equal(after[1], before)  # the embedding does not pass the classifier
    assert np.abs(after[2] - before).max() > 0
    assert logs["embed"][1] < logs["embed"][0]
    assert logs["embed"][2] == logs["embed"][3] == 0


@tensorflow
def test_rows_of_the_embedding_alone_are_a_teacher(pair):
    from kd_keras import Distiller

    images, labels = batches()

    class Rows:
        shapes = {"pooled": (None, 7)}  # noqa: RUF012

        def __call__(self, ids, view):
            raise NotImplementedError

    distiller = Distiller(pair.student(), teacher=Rows(), methods=methods.get("embed"))
    distiller.compile(keras.optimizers.Adam(0.01))
    rows = np.random.default_rng(2).normal(size=(24, 7)).astype("float32")
    x = {"inputs": images, "id": np.arange(24), "teacher": {"pooled": rows}}
    first = distiller.train_on_batch(x, labels, return_dict=True)["embed"]
    for _ in range(20):
        last = distiller.train_on_batch(x, labels, return_dict=True)["embed"]
        distiller.reset_metrics()
    assert last < first
    with pytest.raises(ValueError, match=r"holds \['pooled'\] and no logits; expected methods"):
        Distiller(pair.student(), teacher=Rows(), methods=[methods.get("embed"), methods.get("kd")])
