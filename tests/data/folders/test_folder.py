import os
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image


def in_any_order(images):
    return sorted(image.tobytes() for image in images)


def test_a_folder_a_class(pets, load, images_of):
    dataset = load(pets)
    assert dataset.summary() == "18 train images in 2 classes, 2 validation images, 8x8x3"
    assert dataset.class_names == ("cat", "dog")
    assert in_any_order(dataset.train.images) == in_any_order(images_of(20))
    assert sorted(dataset.validation.labels) == [0, 1]
    assert (dataset.augment.crop_padding, dataset.augment.flip) == (1, True)


def test_labels_are_those_of_the_folders(pets, load):
    dataset = load(pets)
    cats = {tf.io.decode_png(p.read_bytes()).numpy().tobytes() for p in (pets / "cat").iterdir()}
    for image, label in zip(
        dataset.train.images_at(slice(None)), dataset.train.labels, strict=True
    ):
        assert (image.tobytes() in cats) == (label == 0)


def test_val_fraction_is_the_share_held_out_and_needs_no_new_store(pets, load, tmp_path):
    assert len(load(pets, val_fraction=0.3).validation) == 6
    assert len(load(pets, val_fraction=0.5).validation) == 10
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("name", ["val", "validation", "valid", "dev", "Val", "VALID"])
def test_train_and_val_folders(put, tmp_path, load, images_of, name):
    for part, count in [("train", 6), (name, 4), ("test", 2)]:
        for n, image in enumerate(images_of(count, seed=count)):
            put(tmp_path / "own" / part / ("cat", "dog")[n % 2] / f"{n}.png", image)
    dataset = load(tmp_path / "own")
    assert in_any_order(dataset.train.images) == in_any_order(images_of(6, seed=6))
    assert in_any_order(dataset.validation.images) == in_any_order(images_of(4, seed=4))
    with pytest.raises(ValueError, match=r"val_fraction is 0\.1, but .* has a validation split"):
        load(tmp_path / "own", val_fraction=0.1)


def test_images_of_several_sizes_get_their_median_side_and_it_is_said(put, pets, load, images_of):
    for n, image in enumerate(images_of(22, side=12)):
        put(pets / "dog" / f"large{n}.png", image)
    dataset = load(pets)
    assert dataset.image_shape == (12, 12, 3)
    assert (
        "images from 8x8 to 12x12 pixels are resized to 12x12 (their median side; see --image-size)"
        in dataset.notes
    )
    assert load(pets, image_size=6).image_shape == (6, 6, 3)


def test_an_image_of_another_aspect_is_cropped_padded_or_squashed(put, tmp_path, load):
    wide = np.full((4, 8, 3), 200, np.uint8)
    wide[:, :2] = wide[:, 6:] = 0  # the sides, which a crop cuts off
    for name in ("cat", "dog"):
        put(tmp_path / "wide" / name / "0.png", wide)
        put(tmp_path / "wide" / name / "1.png", wide)
    dataset = load(tmp_path / "wide", image_size=4)
    assert (dataset.train.images == 200).all()
    assert dataset.resize == "crop"
    assert dataset.notes[0] == (
        "4 of 4 images are not square: their longer side is cropped around the centre "
        "(--resize crop)"
    )
    padded = load(tmp_path / "wide", image_size=4, resize="pad").train.images
    assert (padded[:, [0, 3]] == 0).all()
    assert padded[:, 1:3, 1:3].min() > 100
    squashed = load(tmp_path / "wide", image_size=4, resize="squash")
    assert squashed.train.images[:, :, 1:3].min() > 100
    assert squashed.train.images[:, :, [0, 3]].max() < 100
    assert squashed.resize == "squash"
    with pytest.raises(ValueError, match=r"resize is 'stretch'; expected one of: crop, pad, squ"):
        load(tmp_path / "wide", resize="stretch")


def test_photographs_stand_upright(tmp_path, load):
    tall = np.zeros((16, 8, 3), np.uint8)
    tall[:8] = 255  # bright above, dark below
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    for name in ("cat", "dog"):
        (tmp_path / "phone" / name).mkdir(parents=True)
        for n in range(2):
            turned = Image.fromarray(tall).transpose(Image.Transpose.ROTATE_90)
            turned.save(tmp_path / "phone" / name / f"{n}.jpg", exif=exif, quality=95)
    images = load(tmp_path / "phone").train.images
    assert images.shape[1:] == (16, 8, 3)
    assert images[:, :8].min() > 200
    assert images[:, 8:].max() < 50


def test_formats_that_pillow_reads_are_images_whatever_their_ending(put, tmp_path, load, images_of):
    image = images_of(1)[0]
    files = {"a.PNG": "PNG", "b.webp": "WEBP", "c.bmp": "BMP", "d.tiff": "TIFF", "e": "PNG"}
    files |= {"f.jpg": "BMP", "g.tga": "TGA", "h.ppm": "PPM"}
    for name in ("cat", "dog"):
        folder = tmp_path / "own" / name
        folder.mkdir(parents=True)
        for file, kind in files.items():
            options = {"lossless": True} if kind == "WEBP" else {}
            Image.fromarray(image).save(folder / file, kind, **options)
    (tmp_path / "own" / "cat" / "labels.txt").write_text("0")
    (tmp_path / "own" / "dog" / "labels.txt").write_text("1")
    (tmp_path / "own" / "dog" / ".DS_Store").touch()
    put(tmp_path / "own" / "cover.png", image)
    dataset = load(tmp_path / "own")
    np.testing.assert_array_equal(dataset.train.images, [image] * 16)
    assert dataset.notes[:2] == (
        "skipped 3 files: .txt 2, .DS_Store 1",
        "not used: 1 image beside the class folders",
    )
    assert load(tmp_path / "own").notes == dataset.notes  # of a store that is there already


def test_notes_are_logged_unless_they_are_asked_for(pets, load, caplog):
    load(pets)
    assert caplog.messages == ["holding out 10 % of train (2 images) as validation"]
    caplog.clear()
    notes = []
    load(pets, tell=notes.append)
    assert notes == ["holding out 10 % of train (2 images) as validation"]
    assert not caplog.messages


@pytest.mark.parametrize("remains", ["empty", "with a picture"])
def test_hidden_folders_are_no_classes(put, pets, load, images_of, remains):
    for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir", "lost+found"):
        (pets / name).mkdir()
        if remains != "empty":
            put(pets / name / "0.png", images_of(1)[0])
            put(pets / "cat" / name / "0.png", images_of(1)[0])
    put(pets / "cat" / "._00.png", images_of(1)[0])
    dataset = load(pets)
    assert dataset.class_names == ("cat", "dog")
    assert len(dataset.train.images) == 20
    assert any(note.startswith("skipped 1 file: ._* 1") for note in dataset.notes)
    assert any("hidden folders: .ipynb_checkpoints, @eaDir" in note for note in dataset.notes)


def test_folders_within_a_class_and_links_belong_to_it(put, pets, load, images_of, tmp_path):
    put(pets / "cat" / "tabby" / "by day" / "0.png", images_of(1, seed=7)[0])
    put(tmp_path / "elsewhere" / "0.png", images_of(1, seed=8)[0])
    (pets / "dog" / "linked").symlink_to(tmp_path / "elsewhere")
    (pets / "dog" / "around").symlink_to(pets)  # a circle
    (pets / "dog" / "one.png").symlink_to(tmp_path / "elsewhere" / "0.png")
    dataset = load(pets)
    assert len(dataset.train.images) == 20 + 1 + 2
    assert dataset.train.images[:11].tobytes().count(images_of(1, seed=7)[0].tobytes()) == 1


@pytest.mark.parametrize("kind", ["letters", "digits", "words"])
def test_single_letters_and_digits_are_not_mirrored_unless_asked(
    put, tmp_path, load, images_of, kind
):
    names = {"letters": "bdpq", "digits": "069", "words": ("bee", "dee")}[kind]
    for name in names:
        for n in range(2):
            put(tmp_path / kind / name / f"{n}.png", images_of(1)[0])
    dataset = load(tmp_path / kind)
    assert dataset.augment.flip == (kind == "words")
    assert any("mirroring is off" in note for note in dataset.notes) == (kind != "words")
    for flip in (True, False):
        own = load(tmp_path / kind, flip=flip)
        assert own.augment.flip == flip
        assert own.fingerprint == dataset.fingerprint
        assert not any("mirroring" in note for note in own.notes)


def test_a_class_is_the_same_however_its_accents_are_composed(put, tmp_path, load, images_of):
    for part, form in (("train", "NFC"), ("val", "NFD")):
        for name in ("Käse", "Brot"):
            put(
                tmp_path / "own" / part / unicodedata.normalize(form, name) / "0.png",
                images_of(1)[0],
            )
    dataset = load(tmp_path / "own")
    assert dataset.class_names == ("Brot", "Käse")
    assert dataset.validation.labels.tolist() == [0, 1]


def test_a_test_folder_is_a_test_split_and_never_validation(put, tmp_path, load, images_of):
    for part, count in (("train", 10), ("testing", 3), ("extra", 1)):
        for name in ("cat", "dog"):
            for n in range(count):
                put(tmp_path / "own" / part / name / f"{n}.png", images_of(1)[0])
    dataset = load(tmp_path / "own")
    assert dataset.summary() == (
        "18 train images in 2 classes, 2 validation images, 6 test images, 8x8x3"
    )
    assert dataset.test.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.notes == (
        f"not used, beside train/ in {tmp_path / 'own'}: extra",
        "holding out 10 % of train (2 images) as validation; test stays a test split, used for "
        "neither",
    )


def test_a_test_folder_of_other_classes_is_announced_and_not_used(put, tmp_path, load, images_of):
    for place in ("train/cat", "train/dog", "test/unknown"):
        for n in range(2):
            put(tmp_path / "own" / place / f"{n}.png", images_of(1)[0])
    dataset = load(tmp_path / "own")
    assert dataset.test is None
    assert dataset.notes[0].startswith("test split not used: 1 folder of classes that train does")


def test_classes_without_a_validation_folder_are_reported(put, tmp_path, load, images_of):
    for place in ("train/cat", "train/dog", "train/eel", "val/cat"):
        put(tmp_path / "own" / place / "1.png", images_of(1)[0])
    dataset = load(tmp_path / "own")
    assert dataset.notes == ("validation has no images of 2 classes: dog, eel",)


def test_a_new_image_makes_the_store_again(put, pets, load, images_of, caplog):
    first = load(pets)
    put(pets / "cat" / "new.png", images_of(1, seed=5)[0])
    second = load(pets)
    assert len(second.train.images) == len(first.train.images) + 1
    assert "changed since they were prepared" in caplog.text
    np.testing.assert_array_equal(load(pets).train.images, second.train.images)


def test_images_overwritten_in_place_are_read_anew(put, pets, load, images_of):
    first = load(pets)
    for n, image in enumerate(images_of(20, seed=9)):
        path = pets / ("cat", "dog")[n % 2] / f"{n:02}.png"
        before = path.stat()
        put(path, image)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    assert in_any_order(load(pets).train.images) == in_any_order(images_of(20, seed=9))
    assert first.fingerprint != load(pets).fingerprint


def test_content_that_changed_behind_size_and_time_is_noticed_by_verify(pets, load):
    path = pets / "cat" / "00.png"
    first, before, content = load(pets), path.stat(), path.read_bytes()
    other = (pets / "cat" / "02.png").read_bytes()
    path.write_bytes(other[: len(content)].ljust(len(content), b"\0"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load(pets).fingerprint == first.fingerprint
    changed = load(pets, verify=True)
    assert (changed.train.images[0] == changed.train.images[1]).all()
