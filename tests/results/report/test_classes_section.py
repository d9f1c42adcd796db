import numpy as np

from kd_keras.results.page.page_elements import Table
from kd_keras.results.report import classes_section
from kd_keras.results.report.answers import Answers

LABELS = np.array([0, 0, 1, 1, 1, 2])
OURS = np.array([0, 0, 1, 0, 0, 2])
OTHERS = np.array([0, 1, 1, 1, 0, 1])


def test_recall_and_confusion_are_those_by_hand():
    answers = Answers(LABELS, OURS, OTHERS, 4)
    np.testing.assert_allclose(answers.recall(OURS), [1, 1 / 3, 1, np.nan])
    assert answers.confusion(OURS).tolist() == [[2, 0, 0, 0], [2, 1, 0, 0], [0, 0, 1, 0], [0] * 4]


def test_a_confusion_of_which_most_stays_is_in_one_table(finished, sketched, monkeypatch):
    labels, wrong = np.zeros(12, int), np.ones(12, int)
    answers = Answers(labels, np.where(np.arange(12) < 8, wrong, 0), wrong, 4)  # 12 become 8
    monkeypatch.setattr(classes_section, "_answers", lambda run: answers)
    parts = classes_section.section(finished, None).elements
    captions = [part.caption for part in parts if isinstance(part, Table)]
    assert "Confusions that stayed (images)" in captions
    assert "Confusions that left (images)" not in captions


def test_confusions_that_left_stayed_and_came(finished, sketched, monkeypatch):
    answers = Answers(LABELS, OURS, OTHERS, 4)
    monkeypatch.setattr(classes_section, "_answers", lambda run: answers)
    section = classes_section.section(finished, None)
    tables = {part.caption: part.rows for part in section.elements if isinstance(part, Table)}
    name = "class <{}>".format
    assert tables["Confusions that left (images)"] == [
        [name(0), name(1), 1, 0],
        [name(2), name(1), 1, 0],
    ]
    assert "Confusions that stayed (images)" not in tables
    assert tables["Confusions that came (images)"] == [[name(1), name(0), 1, 2]]
    assert section.elements[0].text == (
        "Against the student alone, the distilled student is better on 2 classes and worse on 1 of "
        "4. It is right on 2 images that the other has wrong, and wrong on 1 that the other has "
        "right."
    )


def test_gains_are_sorted_and_a_class_without_images_is_left_out(finished, sketched, monkeypatch):
    monkeypatch.setattr(classes_section, "_answers", lambda run: Answers(LABELS, OURS, OTHERS, 4))
    classes_section.section(finished, None)
    names = [text.get_text() for text in sketched["class-gains"].axes[0].get_yticklabels()]
    assert names == ["class <2>", "class <0>", "class <1>"]  # +100, +50 and -33 points
