import numpy as np

from kd_keras.data.stores.store import Split
from kd_keras.results.report import samples


def test_kinds_of_images():
    labels, student, others = (
        np.array([[0, 0, 0], [1, 0, 0]][:1]).repeat(4, 0)[:, 0],
        *np.array([[0, 0, 1, 1], [0, 1, 0, 1]]),
    )
    assert samples.outcomes_of(student, others, labels).tolist() == [
        "right",
        "gained",
        "lost",
        "wrong",
    ]
    assert samples.outcomes_of(student, None, labels).tolist() == [
        "right",
        "right",
        "wrong",
        "wrong",
    ]


def test_images_where_models_differ_come_first():
    labels = np.zeros(400, int)
    student, others = np.tile([0, 0, 1, 1], 100), np.tile([0, 1, 0, 1], 100)
    rows = samples.choose(student, others, labels, seed=0)
    kinds = samples.outcomes_of(student, others, labels)[rows]
    assert len(set(rows)) == samples.MAX_IMAGES
    assert kinds.tolist() == ["gained"] * 7 + ["lost"] * 4 + ["wrong"] * 4 + ["right"] * 5
    assert samples.choose(student, others, labels, seed=0).tolist() == rows.tolist()


def test_all_of_few_images_are_chosen_and_a_kind_that_is_missing_is_replaced():
    few = samples.choose(np.array([0, 1]), None, np.array([0, 0]), seed=0)
    assert sorted(few) == [0, 1]
    wrong = np.ones(50, int)
    assert len(samples.choose(wrong, wrong, np.zeros(50, int), seed=0)) == samples.MAX_IMAGES


def test_images_are_kept_as_they_are(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype="uint8")
    split = Split(images, np.zeros(5, "int32"), np.arange(5)[::-1].copy())
    samples.save(tmp_path, split, np.array([0, 3]))
    rows, stored_images = samples.load(tmp_path)
    assert rows.tolist() == [0, 3]
    np.testing.assert_array_equal(stored_images, images[[4, 1]])
    assert samples.load(tmp_path / "nowhere") is None


def test_images_that_cannot_be_read_are_left_out(tmp_path, spoil_zip):
    images = np.zeros((3, 4, 4, 3), "uint8")
    samples.save(tmp_path, Split(images, np.zeros(3, "int32"), np.arange(3)), np.arange(3))
    spoil_zip(tmp_path / samples.NAME, "rows.npy")
    assert samples.load(tmp_path) is None
