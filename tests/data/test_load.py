import shutil
import subprocess
import sys

import pytest

from kd_keras import data
from kd_keras.data.augmentation import light
from kd_keras.data.images import resizing


def test_every_source_is_described_in_a_line_without_importing_anything_heavy():
    code = (
        "import sys\nfrom kd_keras import data\n"
        "lines = [data.describe(name) for name in data.names()]\n"
        "assert all(lines) and all('\\n' not in line for line in lines), lines\n"
        "sys.exit(', '.join({'numpy', 'tensorflow', 'sklearn'} & set(sys.modules)) or None)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tiny_imagnet", r"dataset is 'tiny_imagnet'; .* Did you mean 'tiny_imagenet'\?"),
        ("cifar100", r"expected one of: digits, folder:PATH, tfds:NAME, tiny_imagenet\."),
        ("folder:", r"Did you mean 'folder:PATH'\?"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, message):
    with pytest.raises(ValueError, match=message):
        data.load(name)


def test_a_data_set_that_uses_no_data_dir_refuses_one(tmp_path):
    with pytest.raises(ValueError, match=r"expected none for digits\. Leave --data-dir out"):
        data.load("digits", data_dir=tmp_path)


def test_train_holdout_validates_on_a_part_of_train_alone(tmp_path):
    dataset = data.load("digits", cache_dir=tmp_path)
    chosen = data.load("digits", cache_dir=tmp_path, train_holdout=0.1)
    assert len(chosen.validation) == pytest.approx(0.1 * len(dataset.train), abs=5)
    together = {*chosen.train.ids, *chosen.validation.ids}
    assert together == set(dataset.train.ids)
    assert chosen.train.images.filename == dataset.train.images.filename
    assert chosen.fingerprint != dataset.fingerprint


@pytest.mark.parametrize("argument", ["val_fraction", "train_holdout"])
@pytest.mark.parametrize(
    ("share", "expected"),
    [(0, r"expected a finite number > 0"), (1, r"expected less than 1, such as 0\.1")],
)
def test_a_share_out_of_range_is_refused_by_its_name(tmp_path, argument, share, expected):
    with pytest.raises(ValueError, match=f"^{argument} is {share}; {expected}"):
        data.load("digits", cache_dir=tmp_path, **{argument: share})


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "own"))
    data.load("digits")
    assert [path.name[:11] for path in (tmp_path / "own").iterdir()] == ["digits-8x8-"]


def test_the_names_of_resizes_are_those_that_images_are_resized_by():
    assert data.RESIZES == resizing.RESIZES


def test_every_data_set_says_how_images_of_another_aspect_become_square(tmp_path):
    assert data.load("digits", cache_dir=tmp_path).resize == "crop"
    assert data.load("digits", cache_dir=tmp_path, resize="pad").resize == "pad"


def test_digits_are_mirrored_only_where_it_is_asked_for(tmp_path):
    assert not data.load("digits", cache_dir=tmp_path).augment.flip
    assert data.load("digits", cache_dir=tmp_path, flip=True).augment.flip


def test_what_is_held_out_is_said_in_numbers(tmp_path):
    notes = data.load("digits", cache_dir=tmp_path, train_holdout=0.1).notes
    assert notes == (
        "holding out 20 % of train (359 images) as validation",
        "holding out 10 % of train (143 images) as validation, to choose settings by",
    )


def test_a_folder_given_without_its_prefix_is_recognised(tmp_path, monkeypatch):
    (tmp_path / "pets").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"'pets'.*did you mean --dataset folder:pets\?"):
        data.load("pets")


def test_an_augmentation_is_named_or_spelled_out(tmp_path):
    def policy(**settings):
        return data.load("digits", cache_dir=tmp_path, **settings).augment

    assert policy() == policy(augment="light") == light(1, False)
    assert policy(augment="crop:padding=2,flip") == light(2, True)
    assert policy(augment="standard", flip=True).flip
    assert not policy(augment="standard").flip
    mixed = policy(augment="none", mixup=0.2, cutmix=1)
    assert (mixed.steps, mixed.mixup, mixed.cutmix) == ((), 0.2, 1)


def test_that_mirroring_is_off_is_said_where_a_name_would_mirror(pets, tmp_path):
    letters = tmp_path / "letters"
    for old, new in (("cat", "a"), ("dog", "b")):
        shutil.copytree(pets / old, letters / new)
    name = f"folder:{letters}"

    def messages(**settings):
        notes = data.load(name, cache_dir=tmp_path, **settings).notes
        return any("mirroring is off" in note for note in notes)

    assert messages(augment="strong")
    assert messages()
    assert not (messages(augment="none"))
    assert not (messages(augment="flip"))
    assert not (messages(flip=True))


@pytest.mark.parametrize("augment", ["stronk", "resized_crop:scale=0.35-1.2"])
def test_a_wrong_augmentation_is_refused_before_images_are_read(tmp_path, augment):
    with pytest.raises(ValueError, match=r"augmentation step is|scale is 1\.2"):
        data.load("digits", cache_dir=tmp_path, augment=augment)
    assert not list(tmp_path.iterdir())
