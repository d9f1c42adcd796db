import json

from kd_keras.data import notes
from kd_keras.data.notes import Note


def test_a_note_concerns_its_splits_and_a_plain_text_all():
    of_train = Note("train has few images", "train")
    assert of_train == "train has few images"
    splits = ("train", "validation", "test", "all")
    assert [split for split in splits if notes.concerns(of_train, split)] == ["train"]
    assert all(notes.concerns("images are resized", split) for split in splits)


def test_a_store_keeps_the_splits_of_its_notes():
    several_notes = (Note("a", "train", "validation"), "b")
    header = json.loads(json.dumps(notes.to_json(several_notes)))
    assert notes.from_json(header) == ("a", "b")
    assert list(map(notes.splits_of, notes.from_json(header))) == [("train", "validation"), ()]


def test_notes_of_a_store_of_an_earlier_version_concern_all_splits():
    (note,) = notes.from_json({"notes": ["train has few images"]})
    assert notes.concerns(note, "test")
    assert notes.from_json({}) == ()
