import dataclasses

import numpy as np
import pytest

from kd_keras.data import pipeline
from kd_keras.data.augmentation import augment, policy_of
from kd_keras.teacher_cache import file_format, writer
from kd_keras.teacher_cache.reader import Cache


@pytest.fixture
def folder(tmp_path, example, header_of):
    writer.make(tmp_path / "cache", header_of(), example.split, example.ask, batch_size=7)
    return tmp_path / "cache"


def test_rows_are_the_teacher_s_outputs_on_the_very_crops(folder, example):
    cache = Cache(folder)
    ids = example.split.ids[[5, 0, 17, 30, 5]]
    for view in range(2):
        crops = augment(
            example.split.images, ids, ids, view_seed=0, view=view, policy=example.policy
        )
        expected = example.ask(crops)
        result = cache(ids, view)
        assert set(result) == {"logits", "pooled"}
        for name, rows in result.items():
            np.testing.assert_allclose(rows, expected[name], rtol=1e-5, atol=1e-6)
    assert np.abs(cache(ids, 0)["logits"] - cache(ids, 1)["logits"]).max() > 1e-3
    assert cache.shapes == {"logits": (None, 5), "pooled": (None, 6)}


def test_what_was_broken_off_goes_on_where_it_stopped(tmp_path, example, header_of):
    requests = []

    def failing(images):
        requests.append(len(images))
        if len(requests) == 3:
            raise OSError("No space left on device")
        return example.ask(images)

    with pytest.raises(OSError, match="No space"):
        writer.make(tmp_path, header_of(), example.split, failing, batch_size=16)
    assert not writer.is_complete(tmp_path, header_of())
    with pytest.raises(ValueError, match="is not finished"):
        Cache(tmp_path)
    writer.make(tmp_path, header_of(), example.split, failing, batch_size=16)
    assert writer.is_complete(tmp_path, header_of())
    assert sum(requests) == 2 * 36 + 4  # the third call's four images were asked for twice
    Cache(tmp_path)


def test_several_makers_give_what_one_gives(folder, tmp_path, example, header_of):
    other = tmp_path / "other"
    for i in (2, 0, 1):
        writer.make(other, header_of(), example.split, example.ask, batch_size=7, shard=(i, 3))
    ids = example.split.ids
    for name, rows in Cache(other)(ids, 1).items():
        np.testing.assert_array_equal(rows, Cache(folder)(ids, 1)[name])


def test_more_views_are_added_to_those_there(folder, example, header_of):
    before = (folder / "view0000.part0000.json").stat().st_mtime_ns
    with pytest.raises(ValueError, match=r"has 2 views of each image; expected 3.*--views 3"):
        Cache(folder, views=3)
    writer.make(folder, header_of(views=3), example.split, example.ask)
    assert Cache(folder).views == 3
    assert (folder / "view0000.part0000.json").stat().st_mtime_ns == before
    assert Cache(folder, views=1).views == 1


def test_a_cache_of_other_things_is_refused(folder, example, header_of):
    cache = Cache(folder)
    cache.require(header_of(), example.split.ids)
    for change, words in (
        ({"teacher": "u"}, "a different teacher"),
        ({"data": "e"}, "a different dataset"),
        ({"augment": {"crop_padding": 2, "flip": True}}, "a different augmentation"),
        ({"view_seed": 4, "data": "e"}, "a different dataset and a different view seed"),
    ):
        with pytest.raises(ValueError, match=rf"was made with {words} than this run\."):
            cache.require(header_of(**change), example.split.ids)
        with pytest.raises(ValueError, match=f"holds a cache made with {words}"):
            writer.make(folder, header_of(**change), example.split, example.ask)
    wider = dataclasses.replace(header_of(), outputs={"logits": (5,), "stage1": (3, 3, 6)})
    with pytest.raises(ValueError, match=r"expected \['stage1'\] too.*--taps stage1"):
        cache.require(wider, example.split.ids)
    with pytest.raises(ValueError, match="has no rows for 4 of the 40 training images"):
        cache.require(header_of(), np.arange(40))


def test_verification_computes_rows_again(folder, example):
    assert writer.verify(Cache(folder), example.split, example.ask) < 1e-5
    with pytest.raises(ValueError, match="differ from the teacher's outputs by"):
        writer.verify(
            Cache(folder),
            example.split,
            lambda x: {name: value + 1 for name, value in example.ask(x).items()},
        )


def test_half_precision_verifies_too(tmp_path, example, header_of):
    header = header_of(dtype="float16", top_k=3)
    writer.make(tmp_path, header, example.split, example.ask)
    assert writer.verify(Cache(tmp_path), example.split, example.ask) < 1e-3
    assert file_format.read_header(tmp_path).top_k == 3


def test_a_teacher_is_shown_the_pixels_that_a_student_sees(example, header_of, tmp_path):
    policy = policy_of("strong", crop_padding=1, flip=True, mixup=0.2, cutmix=1.0)
    lines = []

    def ask(images):
        lines.append(images)
        return {"logits": np.zeros((len(images), 5), "float32")}

    header = header_of(augment=policy.to_json(), outputs={"logits": (5,)}, views=1)
    writer.make(tmp_path, header, example.split, ask, batch_size=7)
    by_id = dict(zip(np.sort(example.split.ids), np.concatenate(lines), strict=True))
    plan = pipeline.BatchPlan(example.split, batch_size=9, seed=1, policy=policy, num_classes=5)
    for t in range(plan.steps_per_epoch):
        images, ids, _, _ = plan.batch(t)
        for image, i in zip(images, ids, strict=True):
            np.testing.assert_array_equal(image, by_id[i])
