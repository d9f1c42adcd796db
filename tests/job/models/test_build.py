import types

import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.job.models import build
from kd_keras.job.recipe import recipe_files

DATA = types.SimpleNamespace(
    multi_label=False,
    class_names=("cat", "dog", "owl"),
    image_shape=(8, 8, 3),
)


def saved(path, size=8, classes=3):
    model = keras.Sequential(
        [keras.Input((size, size, 3)), keras.layers.Flatten(), keras.layers.Dense(classes)]
    )
    model.save(path)
    return model


def test_a_spec_names_a_model_of_the_zoo_with_its_knobs():
    model = build.make("resnet8:width=0.5,stem_stride=2", DATA)
    assert model.input_shape == (None, 8, 8, 3)
    assert model.output_shape == (None, 3)
    assert model.get_layer("stage1").output.shape == (None, 4, 4, 8)


def test_a_teacher_of_our_images_keeps_its_own_graph_and_taps(tmp_path):
    saved(tmp_path / "teacher.keras")
    recipe = recipe_files.Recipe(teacher=str(tmp_path / "teacher.keras"))
    assert isinstance(build.make_teacher(recipe, DATA), keras.Sequential)


def test_a_foreign_teacher_takes_our_images_and_gives_our_order_of_classes(tmp_path):
    teacher_file = saved(tmp_path / "teacher.keras", size=16, classes=4)
    (tmp_path / "classes.txt").write_text("owl\ncat\nfox\ndog\n")
    recipe = recipe_files.Recipe(
        teacher=str(tmp_path / "teacher.keras"),
        teacher_image_size=16,
        teacher_preprocess="0..1",
        teacher_class_names=str(tmp_path / "classes.txt"),
    )
    images = np.full((2, 8, 8, 3), 255.0, "float32")
    result = np.asarray(build.make_teacher(recipe, DATA)(images))
    expected = np.asarray(teacher_file(np.ones((2, 16, 16, 3), "float32")))[:, [1, 3, 0]]
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_a_teacher_of_one_sigmoid_output_gives_the_logits_of_two_classes(tmp_path):
    images = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D(name="pooled")(images)
    teacher_file = keras.Model(images, keras.layers.Dense(1, activation="sigmoid")(x))
    teacher_file.save(tmp_path / "teacher.keras")
    two = types.SimpleNamespace(
        multi_label=False, class_names=("cat", "dog"), image_shape=(8, 8, 3)
    )
    recipe = recipe_files.Recipe(teacher=str(tmp_path / "teacher.keras"))
    teacher = build.make_teacher(recipe, two)
    assert teacher.get_layer("pooled")
    pixels = np.random.default_rng(0).uniform(size=(3, 8, 8, 3)).astype("float32")
    p = np.asarray(teacher_file(pixels))
    result = keras.ops.softmax(teacher(pixels))
    np.testing.assert_allclose(result, np.concatenate([1 - p, p], axis=1), atol=1e-6)
    with pytest.raises(
        ValueError, match=r"gives one output; expected a logit for each class\. Give"
    ):
        build.make(str(tmp_path / "teacher.keras"), two)


def test_several_teachers_are_one_of_the_mean_of_their_logits(tmp_path):
    first, second = (saved(tmp_path / f"{name}.keras") for name in "ab")
    teachers = [str(tmp_path / f"{name}.keras") for name in "ab"]
    recipe = recipe_files.Recipe(teacher=teachers, ensemble_weights=[3, 1])
    images = np.full((2, 8, 8, 3), 9.0, "float32")
    expected = 0.75 * np.asarray(first(images)) + 0.25 * np.asarray(second(images))
    np.testing.assert_allclose(build.make_teacher(recipe, DATA)(images), expected, rtol=1e-5)


def test_methods_of_a_run_know_how_many_images_there_are():
    kd, crd = build.make_methods(["kd:temperature=2", "crd"], num_examples=20)
    assert (kd.temperature, crd.num_examples) == (2, 20)
    assert build.make_methods(["none"], num_examples=20) == []
    assert build.make_methods(["crd:num_examples=8"], num_examples=20)[0].num_examples == 8


def test_methods_are_made_once_for_each_model_that_learns(monkeypatch):
    names, make_method = [], methods.get
    monkeypatch.setattr(methods, "get", lambda *a, **k: names.append(a[0]) or make_method(*a, **k))
    monkeypatch.setattr(build, "_distiller", lambda *a, **k: types.SimpleNamespace(deployed=None))
    data = types.SimpleNamespace(train=types.SimpleNamespace(images=range(9)), **vars(DATA))
    recipe = recipe_files.Recipe(student="resnet8", teacher="resnet8", assistants=["resnet8"])
    run_models = build.make_models(recipe, data, precision="float32")
    assert [list(group) for group in run_models.rounds] == [["assistant-1"], ["student"]]
    assert names == ["kd", "kd"]


def test_freezing_is_for_students_and_baselines(monkeypatch):
    monkeypatch.setattr(DATA, "train", types.SimpleNamespace(images=range(9)), raising=False)
    recipe = recipe_files.Recipe(
        teacher="plain_cnn4",
        student="plain_cnn4:width=0.5",
        assistants="plain_cnn4",
        freeze="stage1*",
    )
    run_models = build.make_models(recipe, DATA, precision="float32")
    alone = build.make_baselines(recipe, DATA, precision="float32")
    frozen = {
        phase: [layer.name for layer in model.layers if layer.weights and not layer.trainable]
        for phase, model in {
            "teacher": run_models.teacher,
            **{phase: d.student for group in run_models.rounds for phase, d in group.items()},
            **{phase: d.student for phase, d in alone.items()},
        }.items()
    }
    assert not frozen["teacher"]
    assert not frozen["assistant-1"]
    assert frozen["student"] == frozen["baseline"] != []


def test_a_file_of_other_classes_gets_a_new_last_layer(tmp_path):
    saved(tmp_path / "pretrained.keras", classes=7)  # as in docs/how-to/recipes-and-runs.md
    with pytest.raises(ValueError, match="has 7 classes; expected 3"):
        build.make(str(tmp_path / "pretrained.keras"), DATA)
    body = keras.models.load_model(tmp_path / "pretrained.keras")
    logits = keras.layers.Dense(3, name="logits")(body.layers[-2].output)
    keras.Model(body.inputs, logits).save(tmp_path / "student.keras")
    assert build.make(str(tmp_path / "student.keras"), DATA).output_shape == (None, 3)


def test_a_pattern_that_names_no_layer_is_refused_with_the_students_name():
    recipe = recipe_files.Recipe(student="plain_cnn4", freeze="nothing*")
    with pytest.raises(ValueError, match=r"baseline \(plain_cnn4\): freeze is 'nothing\*'"):
        build.make_baselines(recipe, DATA, precision="float32")


def test_a_teacher_from_a_file_is_left_out_by_a_method_that_needs_none(tmp_path, monkeypatch):
    monkeypatch.setattr(DATA, "train", types.SimpleNamespace(images=range(9)), raising=False)
    saved(tmp_path / "tower.keras", classes=7)
    recipe = recipe_files.Recipe(
        teacher=str(tmp_path / "tower.keras"), student="plain_cnn4", method=["uskd"]
    )
    run_models = build.make_models(recipe, DATA, precision="float32")
    assert (run_models.teacher, run_models.embedding) == (None, False)


def test_a_teacher_without_classes_says_how_to_learn_its_output(tmp_path, monkeypatch):
    monkeypatch.setattr(DATA, "train", types.SimpleNamespace(images=range(9)), raising=False)
    saved(tmp_path / "tower.keras", classes=7)
    recipe = recipe_files.Recipe(
        teacher=str(tmp_path / "tower.keras"), student="plain_cnn4", method=["embed:tap=none"]
    )
    message = r"gives an embedding, .* no tap 'none'; .* give --method embed:teacher_tap=output"
    with pytest.raises(ValueError, match=message):
        build.make_models(recipe, DATA, precision="float32")
