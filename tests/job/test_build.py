import types

import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.job import build, recipe_files

DATA = types.SimpleNamespace(
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
    asked = recipe_files.Recipe(teacher=str(tmp_path / "teacher.keras"))
    assert isinstance(build.make_teacher(asked, DATA), keras.Sequential)


def test_a_foreign_teacher_takes_our_images_and_gives_our_order_of_classes(tmp_path):
    theirs = saved(tmp_path / "teacher.keras", size=16, classes=4)
    (tmp_path / "classes.txt").write_text("owl\ncat\nfox\ndog\n")
    asked = recipe_files.Recipe(
        teacher=str(tmp_path / "teacher.keras"),
        teacher_image_size=16,
        teacher_preprocess="0..1",
        teacher_classes=str(tmp_path / "classes.txt"),
    )
    images = np.full((2, 8, 8, 3), 255.0, "float32")
    got = np.asarray(build.make_teacher(asked, DATA)(images))
    expected = np.asarray(theirs(np.ones((2, 16, 16, 3), "float32")))[:, [1, 3, 0]]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_a_teacher_of_one_sigmoid_output_gives_the_logits_of_two_classes(tmp_path):
    images = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D(name="pooled")(images)
    theirs = keras.Model(images, keras.layers.Dense(1, activation="sigmoid")(x))
    theirs.save(tmp_path / "teacher.keras")
    two = types.SimpleNamespace(class_names=("cat", "dog"), image_shape=(8, 8, 3))
    asked = recipe_files.Recipe(teacher=str(tmp_path / "teacher.keras"))
    teacher = build.make_teacher(asked, two)
    assert teacher.get_layer("pooled")
    pixels = np.random.default_rng(0).uniform(size=(3, 8, 8, 3)).astype("float32")
    p = np.asarray(theirs(pixels))
    got = keras.ops.softmax(teacher(pixels))
    np.testing.assert_allclose(got, np.concatenate([1 - p, p], axis=1), atol=1e-6)
    with pytest.raises(
        ValueError, match=r"gives one output; expected a logit for each class\. Give"
    ):
        build.make(str(tmp_path / "teacher.keras"), two)


def test_several_teachers_are_one_of_the_mean_of_their_logits(tmp_path):
    first, second = (saved(tmp_path / f"{name}.keras") for name in "ab")
    teachers = [str(tmp_path / f"{name}.keras") for name in "ab"]
    asked = recipe_files.Recipe(teacher=teachers, teacher_weights=[3, 1])
    images = np.full((2, 8, 8, 3), 9.0, "float32")
    expected = 0.75 * np.asarray(first(images)) + 0.25 * np.asarray(second(images))
    np.testing.assert_allclose(build.make_teacher(asked, DATA)(images), expected, rtol=1e-5)


@pytest.mark.parametrize("method", ["none", "uskd"])
@pytest.mark.parametrize(
    ("fields", "what"),
    [({"assistants": ["resnet14"]}, r"assistants \(resnet14\)"), ({"generations": 2}, "2 gen")],
)
def test_a_chain_needs_a_method_that_learns_from_a_teacher(method, fields, what):
    with pytest.raises(
        ValueError, match=rf"the recipe has {what}.* method {method}; .*--method kd"
    ):
        build.check_names(recipe_files.Recipe(method=method, **fields))


def test_the_recipes_temperature_and_weight_fill_what_the_specs_leave_open():
    asked = recipe_files.Recipe(method=["kd", "fitnet:tap=stage1"], temperature=3, kd_weight=0.5)
    kd, fitnet = build.make_methods(asked, num_examples=20)
    assert (kd.temperature, kd.weight) == (3, 0.5)
    assert (fitnet.tap, fitnet.weight) == ("stage1", 100)
    spelled = recipe_files.Recipe(method=["kd:temperature=2"], temperature=3)
    assert build.make_methods(spelled, num_examples=20)[0].temperature == 2
    assert build.make_methods(recipe_files.Recipe(method=["none"]), num_examples=20) == []


def test_an_unknown_model_is_named_with_the_nearest():
    for fields in ({"student": "resnet20x"}, {"teacher": ["vgg8", "resnet20x"]}):
        with pytest.raises(ValueError, match=r"model is 'resnet20x'.*Did you mean 'resnet20'"):
            build.check_names(recipe_files.Recipe(**fields))
    with pytest.raises(ValueError, match=r"model is 'vgg9'.*Did you mean 'vgg8'"):
        build.check_names(recipe_files.Recipe(assistants="vgg9"))


def test_a_files_identity_is_its_content(tmp_path):
    saved(tmp_path / "a.keras")
    before = build.identity(str(tmp_path / "a.keras"))
    assert before == build.identity(str(tmp_path / "a.keras"))
    saved(tmp_path / "a.keras")
    assert build.identity(str(tmp_path / "a.keras")) != before
    assert build.identity("resnet20") == "resnet20"


def test_a_folder_with_the_name_of_a_model_is_not_taken_for_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet20").mkdir()
    assert not build.is_file("resnet20")
    assert build.is_file("resnet20.keras")


@pytest.mark.parametrize("name", methods.names())
def test_every_method_can_be_asked_for_by_its_name_alone(name):
    build.check_names(recipe_files.Recipe(method=name))
