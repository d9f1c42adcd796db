import json

import pytest

from kd_keras.data.augmentation import (
    Policy,
    from_json,
    grammar,
    light,
    policy_of,
    short_name,
)
from kd_keras.data.augmentation.geometry import Crop, Flip, ResizedCrop
from kd_keras.data.augmentation.rand_augment import RandAugment
from kd_keras.data.presets import PRESETS


def policy_of_text(text, *, flip=True, **mixing):
    return policy_of(text, crop_padding=4, flip=flip, **mixing)


def test_the_names_of_policies_are_these_steps():
    assert policy_of_text("none") == Policy() == light(0, False)
    assert policy_of_text("light") == light(4, True) == Policy((Crop(4), Flip()))
    assert policy_of_text("standard").steps == (ResizedCrop(scale=(0.35, 1.0)), Flip())
    assert [step.NAME for step in policy_of_text("strong").steps] == [
        *("resized_crop", "flip", "rand_augment", "erase")
    ]
    assert policy_of_text("strong").steps[:2] == policy_of_text("standard").steps
    assert policy_of_text("strong").steps[2] == RandAugment(2, 9)


@pytest.mark.parametrize("text", PRESETS)
def test_a_named_policy_mirrors_only_where_the_dataset_allows_it(text):
    assert policy_of_text(text, flip=True).flip == (text != "none")
    assert not policy_of_text(text, flip=False).flip


def test_steps_that_are_spelled_out_do_what_they_say():
    assert policy_of_text("flip", flip=False).flip
    assert not policy_of_text("crop", flip=True).flip
    assert policy_of_text("crop") == light(4, False)
    assert policy_of_text("crop:padding=2") == light(2, False)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (light(4, True), "crops padded by 4 pixels, mirrored at random"),
        (light(1, False), "crops padded by 1 pixel, not mirrored"),
        (light(0, True), "no crops, mirrored at random"),
        (policy_of_text("standard"), "crops of 35-100 % of the area, resized, mirrored at random"),
        (
            policy_of_text("strong", mixup=0.2, cutmix=1),
            "crops of 35-100 % of the area, resized, mirrored at random, RandAugment with 2 "
            "operations at magnitude 9 of 30, a box erased with probability 0.25, mixup with alpha "
            "0.2, CutMix with alpha 1",
        ),
    ],
)
def test_a_policy_says_what_it_does(policy, words):
    assert policy.describe() == words


POLICIES = [
    *(policy_of_text(text) for text in PRESETS),
    policy_of_text("strong", mixup=0.2),
    policy_of_text("light", cutmix=1.0),
    policy_of_text("flip,crop"),
    Policy(tuple(step(2) if step is Crop else step() for step in grammar.STEPS.values())),
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: short_name(policy.to_json()))
def test_json_and_options_hold_the_whole_policy(policy):
    values = json.loads(json.dumps(policy.to_json()))
    assert values == policy.to_json()
    assert from_json(values) == policy
    words = policy.options().split()
    options = dict(zip(words[::2], words[1::2], strict=True))
    mixing = {name: float(options.get(f"--{name}", 0)) for name in ("mixup", "cutmix")}
    assert policy_of(options["--augment"], crop_padding=9, flip=True, **mixing) == policy


def test_other_policies_have_other_json_and_names():
    assert len({json.dumps(policy.to_json()) for policy in POLICIES}) == len(POLICIES)
    assert len({short_name(policy.to_json()) for policy in POLICIES}) == len(POLICIES)


def test_the_json_of_crops_and_flips_is_that_of_stores():
    # Stores and caches of earlier versions have it.
    assert light(4, True).to_json() == {"crop_padding": 4, "flip": True}
    assert short_name(light(4, True).to_json()) == "pad4-flip"
    assert light(0, False).to_json() == {"crop_padding": 0, "flip": False}
    assert short_name(light(0, False).to_json()) == "pad0"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"crop_padding": 1},
        {"version": 2, "steps": [], "mixup": 0.0, "cutmix": 0.0},
        {"version": 1, "steps": [{"scale": [0.5, 1]}], "mixup": 0.0, "cutmix": 0.0},
        {"version": 1, "steps": ["flip"], "mixup": 0.0, "cutmix": 0.0},
        {"version": 1, "steps": [], "mixup": 0.0, "cutmix": 0.0, "sharpen": 1},
    ],
)
def test_other_json_is_refused(values):
    with pytest.raises(ValueError, match=r"an augmentation is .*; expected crop_padding and flip"):
        from_json(values)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: light(-1, True), r"crop_padding is -1; expected a whole number >= 0"),
        (lambda: Policy((Flip(), Flip())), r"flip 2 times"),
        (lambda: Policy((Crop(),)), r"crop has no padding"),
        (lambda: Policy(mixup=-0.1), r"mixup is -0\.1; expected a finite number >= 0"),
        (lambda: policy_of_text("stron"), r"augmentation step is 'stron'"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
