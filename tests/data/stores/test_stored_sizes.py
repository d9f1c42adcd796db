"""Images that are stored larger than training sees them."""

import numpy as np
import pytest
from PIL import Image

from kd_keras.data import pipeline
from kd_keras.data.images.centre_crop import centre_crops
from kd_keras.data.stores import stored_sizes


@pytest.fixture
def large(put, tmp_path, images_of):
    """10 cats and 10 dogs of 32x32."""
    for n, image in enumerate(images_of(20, side=32)):
        put(tmp_path / "pets" / ("cat", "dog")[n % 2] / f"{n:02}.png", image)
    return tmp_path / "pets"


def test_training_cuts_from_larger_images_and_evaluation_sees_their_middle(large, load):
    loaded = load(large, image_size=14, augment="standard")  # 14 / 0.875 = 16
    assert loaded.image_shape == (14, 14, 3)
    assert loaded.train.images.shape[1:] == (16, 16, 3)
    assert loaded.train.image_shape == loaded.validation.image_shape == (14, 14, 3)
    rows = np.arange(len(loaded.validation))
    stored = np.asarray(loaded.validation.images)[loaded.validation.ids]
    crops = centre_crops(stored, side=14, share=1.0)
    np.testing.assert_array_equal(loaded.validation.images_at(rows), crops)
    middle = load(large, image_size=14, augment="standard", eval_crop=0.875).validation
    np.testing.assert_array_equal(middle.images_at(rows), stored[:, 1:15, 1:15])


def test_views_are_cut_from_the_stored_pixels(large, load):
    text = "resized_crop:scale=0.25-0.25,ratio=1,interpolation=nearest"
    loaded = load(large, image_size=8, store_size=32, augment=text)
    plan = pipeline.BatchPlan(loaded.train, batch_size=4, seed=0, policy=loaded.augment)
    images, ids, _ = plan.batch(0)
    assert images.shape == (4, 8, 8, 3)
    for image, i in zip(images, ids, strict=True):
        stored = loaded.train.images[i]
        parts = [
            Image.fromarray(stored[y : y + 16, x : x + 16]).resize((8, 8), Image.Resampling.NEAREST)
            for y in range(17)
            for x in range(17)
        ]
        assert any(np.array_equal(part, image) for part in parts)
    x, _ = plan.dataset(0, 1).element_spec
    assert x["inputs"].shape == (4, 8, 8, 3)


@pytest.mark.parametrize("mixing", [{"mixup": 1.0}, {"cutmix": 1.0}])
def test_mixed_views_and_steps_around_the_crop_have_the_size_of_training(large, load, mixing):
    text = "crop:padding=3,resized_crop,rand_augment,erase:probability=1"
    loaded = load(large, image_size=8, store_size=20, augment=text, **mixing)
    plan = pipeline.BatchPlan(
        loaded.train, batch_size=6, seed=0, policy=loaded.augment, num_classes=2
    )
    images, _, labels, shares = plan.batch(0)
    assert images.shape == (6, 8, 8, 3)
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    if "cutmix" in mixing:
        np.testing.assert_allclose(shares * 64, np.rint(shares * 64), atol=1e-4)


def test_the_cost_is_said_in_megabytes(large, load):
    notes = load(large, image_size=14, augment="standard").notes
    assert any("stored at 16x16 pixels" in note and "(--store-size)" in note for note in notes)
    assert not any("stored at" in note for note in load(large, image_size=14).notes)


def test_other_evaluation_images_are_other_data(large, load):
    settings = {"image_size": 14, "augment": "standard"}
    prints = {
        load(large, **settings, **more).fingerprint
        for more in ({}, {"eval_crop": 0.875}, {"store_size": 14}, {"store_size": 20})
    }
    assert len(prints) == 4
    assert (
        load(large, **settings).store_fingerprint
        == load(large, **settings, eval_crop=0.875).store_fingerprint
    )


def test_a_part_keeps_the_size(large, load):
    part = load(large, image_size=14, augment="standard", train_holdout=0.3).validation
    assert part.image_shape == (14, 14, 3)
    assert part.images_at(slice(0, 2)).shape == (2, 14, 14, 3)


@pytest.mark.parametrize(
    ("dataset", "image_size", "resizes", "stored"),
    [
        ("folder:pets", 224, True, 256),
        ("tfds:cars196", 64, True, 73),
        ("folder:pets", 224, False, None),
        ("folder:pets", None, True, None),
        ("tiny_imagenet", 64, True, None),
        ("folder:pets", 2000, True, 2048),
    ],
)
def test_the_default_is_an_eighth_more_for_images_in_files(dataset, image_size, resizes, stored):
    settings = {"store_size": None, "crop": 1.0, "resizes": resizes}
    assert stored_sizes.stored_size(dataset, image_size=image_size, **settings) == stored


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"store_size": 16}, r"store_size is 16 and image_size is not chosen; expected an image"),
        ({"store_size": 16, "image_size": 20}, r"store_size is 16 and image_size is 20;"),
        ({"store_size": 16, "image_size": 8, "augment": "light"}, r"no step resized_crop, which"),
        ({"image_size": 8, "augment": "light", "eval_crop": 0.9}, r"eval_crop is 0\.9, and images"),
        ({"image_size": 8, "eval_crop": 1.2}, r"eval_crop is 1\.2; expected .* <= 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(large, load, settings, message):
    with pytest.raises(ValueError, match=message):
        load(large, **{"augment": "standard", **settings})
