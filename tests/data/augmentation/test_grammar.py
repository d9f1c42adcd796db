import random

import pytest

from kd_keras.data.augmentation import grammar
from kd_keras.data.augmentation.color import Blur, ColorJitter, Grayscale
from kd_keras.data.augmentation.erase import Erase
from kd_keras.data.augmentation.geometry import Crop, Flip, ResizedCrop
from kd_keras.data.augmentation.rand_augment import RandAugment
from kd_keras.data.presets import PRESETS


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("flip", (Flip(),)),
        ("crop", (Crop(None),)),
        ("crop:padding=4,flip", (Crop(4), Flip())),
        (
            "resized_crop:scale=0.35-1,flip,rand_augment:number=2,magnitude=9",
            (ResizedCrop(scale=(0.35, 1.0)), Flip(), RandAugment(2, 9)),
        ),
        (
            " resized_crop: scale = .5-1.0 , ratio=1 , interpolation=nearest ",
            (ResizedCrop((0.5, 1.0), (1.0, 1.0), "nearest"),),
        ),
        ("color_jitter:hue=0,probability=1,grayscale", (ColorJitter(hue=0.0), Grayscale())),
        ("blur:sigma=1e-1-2,erase:fill=black", (Blur((0.1, 2.0)), Erase(fill="black"))),
    ],
)
def test_a_text_spells_steps_out(text, steps):
    assert grammar.parse(text) == steps


@pytest.mark.parametrize("text", [text for text in PRESETS.values() if text])
def test_spelled_out_steps_are_the_same_steps(text):
    steps = grammar.parse(text)
    assert grammar.parse(grammar.to_text(steps)) == steps


def test_every_step_is_spelled_out_with_all_its_parameters():
    steps = tuple(step() for step in grammar.STEPS.values())
    text = grammar.to_text(steps)
    assert grammar.parse(text) == steps
    assert text.startswith("crop,flip,resized_crop:scale=0.08-1.0,ratio=0.75-1.33333")


def test_names_of_steps_and_parameters_are_all_words():
    for name, step in grammar.STEPS.items():
        assert name.replace("_", "").isalpha()
        assert all(p.replace("_", "").isalpha() for p in step().parameters())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flop", r"augmentation step is 'flop'; expected one of: .* Did you mean 'flip'\?"),
        ("flip,rand_aug", r"step is 'rand_aug'; .*Did you mean 'rand_augment'\?"),
        ("resized_crop:scal=0.5-1", r"parameter of resized_crop is 'scal'; .*'scale'"),
        ("resized_crop:scale=0.35-1,magnitud=9", r"parameter of resized_crop is 'magnitud'"),
        ("rand_augment,magnitud=9", r"parameter of rand_augment is 'magnitud'; .*'magnitude'"),
        ("flip:probability=0.5", r"flip has the parameter 'probability'; expected none"),
        ("resized_crop:scale=0.35-1.2", r"resized_crop: scale is 1\.2; .* > 0 and <= 1"),
        ("resized_crop:scale=0-1", r"resized_crop: scale is 0\.0; .* > 0"),
        ("resized_crop:scale=1-0.35", r"scale is 1-0\.35; expected the lower number first"),
        ("resized_crop:scale=-1", r"resized_crop: scale is '-1'; expected one number or two"),
        ("resized_crop:scale=a-b", r"scale is 'a-b'; expected one number or two, low-high"),
        ("rand_augment:magnitude=high", r"magnitude is 'high'; expected a whole number"),
        ("erase:probability=often", r"probability is 'often'; expected a finite number"),
        ("crop:padding=1.5", r"crop_padding is 1\.5; expected a whole number"),
        ("magnitude=9", r"'magnitude=9' is neither a step nor a parameter of one"),
        ("flip,", r"augmentation step is ''"),
        ("", r"augmentation step is ''"),
        ("crop:", r"'crop:' is neither a step nor a parameter"),
        ("crop:padding=", r"'crop:padding=' is neither a step"),
        ("crop:=3", r"'crop:=3' is neither a step"),
        ("crop:padding=1,padding=2", r"with padding of crop twice"),
        ("flip,crop,flip", r"augment has flip 2 times; expected each step once"),
        ("strong,blur", r"strong is a whole policy; .*Spelled out, strong is resized_crop:scale"),
        ("flip,none", r"none is a whole policy; .*none is no step"),
        ("flip,mixup:alpha=1", r"augmentation step is 'mixup'; .*give --mixup 0\.2 beside it"),
    ],
)
def test_another_text_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        grammar.parse(text)


def test_any_text_is_steps_or_refused_with_a_message():
    rng = random.Random(0)
    words = ["flip", "crop", "blur", "erase", "sigma", "padding", "fill", "nan", "inf"]
    refusals = []
    for _ in range(3000):
        text = "".join(rng.choices([*"=:,-.+ e1", *words], k=rng.randint(1, 8)))
        try:
            steps = grammar.parse(text)
        except ValueError as error:
            refusals.append(str(error))
        else:
            assert grammar.parse(grammar.to_text(steps)) == steps
    assert len(refusals) > 2000
    assert all("expected" in refusal for refusal in refusals)
