"""Predictions of streams of files: order, faults, and memory that does not grow."""

import itertools

import numpy as np
import pytest
from PIL import Image

from kd_keras.job.prediction import images_to_predict, opened_model
from kd_keras.job.prediction.predictor import Predictor


@pytest.fixture(scope="module")
def model(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("predictor") / "student.keras"
    net("student").save(path)
    return opened_model.open_model(path, class_names=tuple("vwxyz"))


def predicted(predictor, images, **options):
    return list(predictor.stream(images_to_predict.items(images), **options))


def test_a_batch_of_any_size_gives_the_same_in_the_same_order(model, mixed_folder):
    expected = predicted(Predictor(model), mixed_folder)
    assert [one.file for one in expected] == sorted(one.file for one in expected)
    small = predicted(Predictor(model, batch_size=5), mixed_folder)
    assert [one.file for one in small] == [one.file for one in expected]
    for one, other in zip(expected, small, strict=True):
        assert one.classes == other.classes
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    (skipped,) = [one for one in expected if one.skipped]
    assert skipped.file.endswith("notes.txt")


def test_top_counts_classes_best_first(model, images_of):
    every = predicted(Predictor(model), images_of(3), top=None)
    for one in every:
        assert sorted(one.classes) == list("vwxyz")
        assert [model.metadata.class_names[index] for index in one.indices] == list(one.classes)
        assert list(one.probabilities) == sorted(one.probabilities, reverse=True)
        assert sum(one.probabilities) == pytest.approx(1, abs=1e-5)
    for one, two in zip(every, predicted(Predictor(model), images_of(3), top=2), strict=True):
        assert two.classes == one.classes[:2]
    with pytest.raises(ValueError, match="top is 0; expected a whole number >= 1"):
        predicted(Predictor(model), images_of(1), top=0)


def test_files_that_cannot_be_read_do_not_stop_the_others(model, mixed_folder, tmp_path):
    (tmp_path / "half.png").write_bytes((mixed_folder / "cat" / "01-grey.png").read_bytes()[:60])
    (tmp_path / "text.txt").write_text("a cat")
    good = mixed_folder / "cat" / "00-photo.jpg"
    content = good.read_bytes()
    (tmp_path / "half.jpg").write_bytes(content[: len(content) * 3 // 4])
    paths = [tmp_path / "none.jpg", good, tmp_path / "half.png", tmp_path / "text.txt", good]
    paths.append(tmp_path / "half.jpg")
    one, two, three, four, five, six = predicted(Predictor(model, batch_size=1), paths)
    assert six.error == "jpeg::Uncompress failed. Invalid JPEG data or crop window"
    assert one.error == "No such file or directory"
    assert "PNG" in three.error
    assert four.error == "it is not an image of a known format"  # named by hand, so not skipped
    assert not four.skipped
    assert two.classes == five.classes
    assert not two.error


def test_no_more_files_are_read_ahead_than_two_batches(model, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    item = images_to_predict.items(tmp_path / "a.png")[0]
    counter = itertools.count()
    endless = (item for _ in counter)
    stream = Predictor(model, batch_size=4).stream(endless)
    assert next(stream).file == item.name
    stream.close()
    assert next(counter) <= 4 + 2 * 4 + 2


def test_pixels_of_the_models_size_are_not_decoded(model, images_of):
    predictor = Predictor(model)
    images = images_of(2)
    result = predicted(predictor, images, top=None)
    assert predictor._reader is None
    expected = model.classifier(images).probabilities
    for one, row in zip(result, expected, strict=True):
        np.testing.assert_allclose(one.probabilities, row[list(one.indices)], atol=1e-6)


def test_wrong_options_are_refused(model):
    with pytest.raises(ValueError, match=r"image_size is 9; .* takes images of 8x8x3"):
        Predictor(model, image_size=9)
    with pytest.raises(ValueError, match="resize is 'stretch'; expected one of: crop"):
        Predictor(model, resize="stretch")
    with pytest.raises(ValueError, match="batch_size is 0"):
        Predictor(model, batch_size=0)


def test_a_model_of_any_size_needs_one(tmp_path):
    import keras
    from keras import layers

    pooled = [layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    keras.Sequential([keras.Input((None, None, 3)), *pooled]).save(tmp_path / "any.keras")
    opened = opened_model.open_model(tmp_path / "any.keras")
    with pytest.raises(ValueError, match="takes images of any size, and image_size is not given"):
        Predictor(opened)
    assert Predictor(opened, image_size=12).shape == (12, 12, 3)
    assert Predictor(opened, image_size=12).names == ("0", "1")
