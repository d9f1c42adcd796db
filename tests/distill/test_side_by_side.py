"""Several students on one teacher pass are trained as each would be alone."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller, methods
from kd_keras.data import pipeline
from kd_keras.data.augmentation import light
from kd_keras.data.stores.store import Split
from kd_keras.distill import side_by_side
from kd_keras.job import train
from kd_keras.job.recipe import recipe_files

pytestmark = pytest.mark.usefixtures("one_server", "no_report")
CLASSES, SHAPE, STEPS = 5, (8, 8, 3), 3  # of `net`


@pytest.fixture
def split():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (96, *SHAPE), dtype=np.uint8)
    return Split(images, rng.integers(0, CLASSES, 96).astype(np.int32), np.arange(96))


def batches(split, **more):
    policy = light(crop_padding=1, flip=True)
    plan = pipeline.BatchPlan(split, batch_size=32, seed=0, policy=policy, **more)
    return plan.dataset(0, STEPS)


@pytest.fixture
def learner(net, teacher):
    """learner("kd", …) makes a compiled Distiller of a student, the same each time."""

    def make(*names, teacher=teacher, precision="float32", **optimizer):
        taps = {"ft": {"tap": "stage2"}}
        chosen_methods = [methods.get(name, **taps.get(name, {})) for name in names]
        distiller = Distiller(
            net("student"),
            teacher=teacher if chosen_methods else None,
            methods=chosen_methods,
            precision=precision,
        )
        distiller.total_steps = STEPS
        distiller.compile(keras.optimizers.Adam(0.01, **optimizer), metrics=["accuracy"])
        return distiller

    return make


def weights(distiller):
    return [v.numpy() for v in (*distiller.student.variables, *distiller.trainable_variables)]


@pytest.mark.slow
def test_students_side_by_side_are_trained_as_each_alone(split, learner):
    average = {"use_ema": True, "ema_momentum": 0.5}
    method_names = {"hints": ("kd", "fitnet"), "plain": (), "staged": ("ft",)}
    alone, together, histories = {}, {}, {}
    for name, names in method_names.items():
        alone[name] = learner(*names, **average)
        swap = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]
        alone[name].fit(batches(split), callbacks=swap, validation_data=batches(split), verbose=0)
        together[name] = learner(*names, **average)
        swap = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]
        histories[name] = [*swap, keras.callbacks.History()]
    model = side_by_side.SideBySideModel(together)
    each = side_by_side.PerStudentCallbacks({n: (d, histories[n]) for n, d in together.items()})
    model.fit(batches(split), callbacks=[each], validation_data=batches(split), verbose=0)
    for name in method_names:
        for together_weights, alone_weights in zip(
            weights(together[name]), weights(alone[name]), strict=True
        ):
            np.testing.assert_allclose(together_weights, alone_weights, rtol=1e-4, atol=1e-6)
        logged, expected = histories[name][-1].history, alone[name].history.history
        assert set(logged) == set(expected)
        for key, values in expected.items():
            np.testing.assert_allclose(logged[key], values, rtol=1e-4, err_msg=key)


@pytest.mark.parametrize(
    "label_mode", ["single", pytest.param("multi", marks=pytest.mark.extended)]
)
def test_metrics_of_rows_are_those_of_each_student_alone(net, label_mode):
    rng = np.random.default_rng(0)
    x = {"inputs": rng.normal(size=(24, *SHAPE)).astype("float32"), "id": np.arange(24)}
    y = (rng.random((24, CLASSES)) < 0.5).astype("float32")
    metrics = [keras.metrics.BinaryAccuracy, keras.metrics.AUC]
    if label_mode == "single":
        y = np.eye(CLASSES, dtype="float32")[y.argmax(-1)]
        metrics = [keras.metrics.CategoricalAccuracy, keras.metrics.TopKCategoricalAccuracy]
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)

    def learner(seed):
        distiller = Distiller(net("student", seed=seed), label_mode=label_mode)
        distiller.compile(
            keras.optimizers.SGD(0.1),
            metrics=[make(name="m") for make in metrics[:1]],
            weighted_metrics=[make(name="n") for make in metrics[1:]],
        )
        return distiller

    model = side_by_side.SideBySideModel({"a": learner(0), "b": learner(1)})
    logs = model.fit(data, validation_data=data, verbose=0).history
    for seed, name in enumerate("ab"):
        alone = learner(seed).fit(data, validation_data=data, verbose=0).history
        assert side_by_side.own_logs(name, logs).keys() == alone.keys()
        for key, values in alone.items():
            np.testing.assert_allclose(
                side_by_side.own_logs(name, logs)[key], values, rtol=1e-4, err_msg=key
            )


def test_the_teacher_runs_once_a_batch(split, learner, monkeypatch):
    sizes, call = [], side_by_side.Teacher.__call__
    monkeypatch.setattr(
        side_by_side.Teacher, "__call__", lambda self, x: sizes.append(len(x)) or call(self, x)
    )
    two = {name: learner("kd") for name in "ab"}
    model = side_by_side.SideBySideModel(two)
    model.run_eagerly = True  # a traced step calls it while it is traced, whatever the batches
    model.fit(batches(split), verbose=0)
    assert sizes == [32] * STEPS


def test_logs_without_known_labels_leave_out_what_needs_them(split, learner):
    distiller = learner("kd")
    distiller.compile(keras.optimizers.SGD(0.0), metrics=["accuracy"], ignore_class=-1)
    data = batches(dataclasses.replace(split, labels=np.full(96, -1, np.int32)))
    model = side_by_side.SideBySideModel({"one": distiller})
    with pytest.warns(UserWarning, match="all labels of the evaluated data are unknown"):
        logs = model.fit(data, validation_data=data, verbose=0).history
    assert set(logs) == {"one/loss", "one/kd", "one/kd_share", "one/agreement"}


def test_own_logs_are_those_of_the_very_name():
    logs = {"student-1/loss": 1, "val_student-1/loss": 2, "student-10/loss": 3, "val_x/loss": 4}
    assert side_by_side.own_logs("student-1", logs) == {"loss": 1, "val_loss": 2}
    assert side_by_side.own_logs("student-10", logs) == {"loss": 3}


def test_every_hook_of_keras_reaches_a_students_callbacks_with_its_own_logs():
    calls = []
    listener = keras.callbacks.Callback()
    for hook in side_by_side.HOOKS:
        setattr(
            listener,
            hook,
            lambda *arguments, hook=hook, **keywords: calls.append((hook, keywords, arguments)),
        )
    student = keras.Sequential([keras.Input((1,))])
    together = keras.callbacks.CallbackList(
        [side_by_side.PerStudentCallbacks({"a": (student, [listener])})],
        model=keras.Sequential(),
        epochs=3,
    )
    assert (listener.model, listener.params) == (student, {"epochs": 3})
    logs = {"a/loss": 1.0, "b/loss": 2.0}
    together.on_train_begin(logs)
    together.on_epoch_begin(4, logs)
    together.on_train_batch_end(5, logs)
    together.on_test_batch_begin(6, logs)
    together.on_train_end(logs)
    own = {"loss": 1.0}
    assert calls == [
        ("on_train_begin", {}, (own,)),
        ("on_epoch_begin", {}, (4, own)),
        ("on_train_batch_end", {"logs": own}, (5,)),
        ("on_test_batch_begin", {"logs": own}, (6,)),
        ("on_train_end", {}, (own,)),
    ]


def test_what_cannot_be_trained_side_by_side_is_refused(net, learner):
    apart = {"a": learner("kd"), "b": learner("kd", teacher=net("other"))}
    with pytest.raises(
        ValueError, match=r"different teachers; expected one .*Make each Distiller with the"
    ):
        side_by_side.SideBySideModel(apart)
    mixed = {"a": learner("kd"), "b": learner("mlkd")}
    with pytest.raises(ValueError, match="different numbers of views"):
        side_by_side.SideBySideModel(mixed)
    precisions = {"a": learner("kd"), "b": learner("kd", precision="mixed_bfloat16")}
    with pytest.raises(ValueError, match=r"different precisions .*'b': 'mixed_bfloat16'"):
        side_by_side.SideBySideModel(precisions)


@pytest.fixture
def tiny_run(tmp_path, monkeypatch, no_timing):
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))
    settings = {
        **{"dataset": "digits", "teacher": "plain_cnn4", "teacher_epochs": 1, "epochs": 1},
        **{"batch_size": 512, "precision": "float32", "allow_weak_teacher": True},
    }

    def run(**changes):
        method_names = recipe_files.Recipe(**{**settings, **changes})
        where = {"run": str(tmp_path / "run"), "export_dir": str(tmp_path / "out")}
        return train.run(method_names, **where), tmp_path

    return run


@pytest.mark.slow
def test_a_run_of_two_students_measures_exports_and_shows_both(tiny_run, capsys):
    students = ["plain_cnn4:width=0.25", "plain_cnn4:width=0.5"]
    results, folder = tiny_run(student=students, baseline=True)
    phases = ["student-1", "student-2"]
    assert [results[p]["spec"] for p in phases] == students
    assert results["student-1"]["parameters"] < results["student-2"]["parameters"]
    output = capsys.readouterr().out
    for line in (
        "plain_cnn4:width=0.25, kd",
        "plain_cnn4:width=0.5, alone",
        "student 2, epoch 1/1: loss",
    ):
        assert line in output
    for phase in phases:
        assert (folder / "run" / f"{phase}.keras").is_file()
        assert (folder / "run" / f"{phase}-history.csv").is_file()
        assert (folder / "out" / "run" / phase / "saved_model.pb").is_file()
        history = json.loads((folder / "run" / f"{phase}.json").read_text())["history"]
        assert {"loss", "kd", "agreement", "val_top1", "images_per_second"} <= set(history)
    again, _ = tiny_run(student=students, baseline=True)
    assert again == results
    with pytest.raises(
        ValueError, match="a run of several students; expected a run of one student"
    ):
        recipe_files.resolve("quickstart", teacher_from=str(folder / "run"))


@pytest.mark.slow
def test_each_method_trains_a_student_of_its_own_from_the_same_weights(tiny_run, capsys):
    results, _ = tiny_run(student="plain_cnn4:width=0.25", method=["kd", "nkd"], each_method=True)
    assert [results[f"student-{n}"]["methods"] for n in (1, 2)] == [["kd"], ["nkd"]]
    assert "plain_cnn4:width=0.25, nkd" in capsys.readouterr().out


def test_several_students_and_generations_are_refused():
    with pytest.raises(ValueError, match="several students and 2 generations"):
        recipe_files.Recipe(student=["resnet8", "vgg8"], generations=2)
