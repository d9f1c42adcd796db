import resource

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from kd_keras.job.training import progress_callbacks
from kd_keras.results.loggers import tensorboard_logs


def events(folder):
    size = {"tensors": 0, "images": 0, "scalars": 0}
    return event_accumulator.EventAccumulator(str(folder), size_guidance=size).Reload()


def values(events, tag):
    return [tf.make_ndarray(event.tensor_proto).item() for event in events.Tensors(tag)]


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """History and folder of a student that two methods taught for two epochs."""
    from kd_keras import Distiller, methods

    folder = tmp_path_factory.mktemp("logs")
    generator = np.random.default_rng(0)
    x = generator.normal(size=(20, 3)).astype("float32")
    y = (x[:, 0] > 0).astype("int32")
    keras.utils.set_random_seed(3)
    student, teacher = (
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]) for _ in range(2)
    )
    kd = methods.get("kd")
    distiller = Distiller(student, teacher=teacher, methods=kd, validate_teacher=True)
    top1 = keras.metrics.SparseCategoricalAccuracy(name="top1")
    distiller.compile(keras.optimizers.SGD(0.1), metrics=[top1])
    watching = [progress_callbacks.Speed(4), tensorboard_logs.callback(folder)]
    history = distiller.fit(
        x, y, batch_size=4, epochs=2, validation_data=(x, y), verbose=0, callbacks=watching
    )
    return history.history, folder


@pytest.mark.parametrize(
    ("log", "tag"),
    [("kd_gradient_norm", "gradient_norm/kd"), ("kd_share", "loss_share/kd"), ("kd", "loss/kd")],
)
def test_what_a_log_measures_is_its_group(log, tag):
    assert tensorboard_logs.tag(log) == tag


def test_the_graph_is_of_the_students_layers(logged):
    _, folder = logged
    nodes = events(folder / "train").Graph().node
    assert [node.op for node in nodes] == ["InputLayer", "Dense"]
    assert list(nodes[1].input) == [nodes[0].name]
    assert "/" not in nodes[0].name


def test_a_model_that_tensorboard_cannot_draw_has_no_graph(tmp_path):
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    with tensorboard_logs.writing_events(tmp_path):
        tensorboard_logs.write_graph(Own())
    assert not events(tmp_path).Tags()["graph"]


def test_curves_are_grouped_and_accuracy_is_the_first_group(logged):
    history, folder = logged
    train, validation = events(folder / "train"), events(folder / "validation")
    tags = {
        "accuracy/top1": "top1",
        "distillation/agreement": "agreement",
        "learning_rate": "learning_rate",
        "loss/ce": "ce",
        "loss/kd": "kd",
        "loss/total": "loss",
        "loss_share/ce": "ce_share",
        "loss_share/kd": "kd_share",
        "speed/images_per_second": "images_per_second",
    }
    assert sorted(train.Tags()["tensors"]) == list(tags)
    for tag, name in tags.items():
        np.testing.assert_allclose(values(train, tag), history[name], rtol=1e-6)
    assert [event.step for event in train.Tensors("loss/total")] == [0, 1]
    shared = {"accuracy/top1", "distillation/agreement", "loss/ce", "loss/total"}
    assert shared <= set(validation.Tags()["tensors"]) <= set(tags)
    for tag in shared:
        np.testing.assert_allclose(values(validation, tag), history[f"val_{tags[tag]}"], rtol=1e-6)


def test_top5_and_accuracies_of_other_names_are_accuracies():
    names = ("top5", "accuracy", "sparse_categorical_accuracy")
    assert [tensorboard_logs.tag(name) for name in names] == [f"accuracy/{n}" for n in names]


def test_a_picture_is_written_as_it_is(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (70, 60, 3), dtype=np.uint8)
    tensorboard_logs.write_picture(tmp_path, picture, title="augmented")
    (event,) = events(tmp_path).Tensors("augmented")
    png = tf.make_ndarray(event.tensor_proto)[2]
    np.testing.assert_array_equal(tf.io.decode_png(png), picture)


def test_a_full_disk_is_an_error_that_names_the_folder(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(
            OSError, match=rf"^Could not write {tmp_path}: File too large\. Free sp"
        ):
            tensorboard_logs.write_picture(tmp_path, np.zeros((8, 8, 3), np.uint8), title="picture")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
