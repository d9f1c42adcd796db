import numpy as np
import pytest

from kd_keras.job.prediction import opened_model


@pytest.fixture(scope="module")
def model_file(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("opened") / "student.keras"
    net("student").save(path)
    return path


def test_class_names_come_from_a_list_or_a_file(model_file, tmp_path):
    names = tuple("vwxyz")
    (tmp_path / "names.txt").write_text("v\nw\n\nx \ny\nz\n")
    for class_names in (names, tmp_path / "names.txt", str(tmp_path / "names.txt")):
        opened = opened_model.open_model(model_file, class_names=class_names)
        assert opened.metadata.class_names == names
        assert opened_model.check_num_classes(opened, (8, 8, 3)) == 5
    plain = opened_model.open_model(model_file)
    assert (plain.metadata.class_names, plain.metadata.image_shape) == (None, (8, 8, 3))


def test_as_many_names_as_classes_are_expected(model_file):
    opened = opened_model.open_model(model_file, class_names=["cat", "dog"])
    with pytest.raises(ValueError, match=r"has 5 classes and 2 class names \(cat, dog, ...\)"):
        opened_model.check_num_classes(opened, (8, 8, 3))


def test_an_unknown_preprocessing_is_refused_before_the_model_is_opened():
    with pytest.raises(ValueError, match=r"preprocess is 'tf'; expected one of: -1..1"):
        opened_model.open_model("none.keras", preprocess="tf")


def test_the_probe_image_is_of_the_models_size(model_file):
    opened = opened_model.open_model(model_file, preprocess="0..1")
    assert opened.classifier(np.zeros((2, 8, 8, 3), np.uint8)).logits.shape == (2, 5)
