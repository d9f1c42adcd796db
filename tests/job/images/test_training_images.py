import numpy as np
import pytest

from kd_keras import data, methods
from kd_keras.job.checks import precheck
from kd_keras.job.images import training_images
from kd_keras.job.recipe.recipe_files import Recipe


class Learner:
    """What `phase_images` reads of a Distiller."""

    def __init__(self, methods=()):
        self.methods = methods


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """digits(10) is the dataset with 10 labels a class."""
    cache = tmp_path_factory.mktemp("cache")

    def load(labels_per_class=None):
        return data.load(
            "digits",
            labels_per_class=labels_per_class,
            cache_dir=cache,
            tell=lambda note: None,
        )

    return load


def of(recipe, loaded, **phases):
    images, steps = training_images.phase_images(recipe, loaded, phases)
    return len(images), int(images.known.sum()), steps


def test_the_teacher_learns_all_labels_the_student_alone_the_few_and_the_student_from_all(digits):
    recipe, loaded = Recipe(batch_size=128, labels_per_class=10), digits(10)
    learner = Learner([methods.get("kd")])
    assert of(recipe, loaded, teacher=Learner()) == (1438, 1438, 11)
    assert of(recipe, loaded, baseline=Learner()) == (100, 100, 11)  # as many steps
    assert of(recipe, loaded, student=learner) == (1438, 100, 11)
    same = recipe.model_copy(update={"hide_from_teacher": True})
    assert of(same, loaded, teacher=Learner()) == (100, 100, 11)


def test_without_hidden_labels_everyone_learns_from_all(digits):
    recipe, loaded = Recipe(batch_size=128), digits()
    for phase in ("teacher", "baseline", "student"):
        assert of(recipe, loaded, **{phase: Learner()}) == (1438, 1438, 11)
    assert (
        training_images.label_record(loaded)
        == training_images.num_images_by_use(recipe, loaded)
        == {}
    )
    assert training_images.sentences(recipe, loaded) == []


def test_the_run_says_who_learns_from_what(digits):
    recipe = Recipe(labels_per_class=10, baseline=True, batch_size=128)
    student, alone, teacher = training_images.sentences(recipe, digits(10))
    assert student == (
        "the student learns from its teacher on 1,438 images, and from the labels of 100 of them"
    )
    assert alone == "the student alone learns from these 100 only, in as many steps"
    assert teacher == "the teacher learns from 1,438 labels: none is hidden from it"
    counts = training_images.num_images_by_use(recipe, digits(10))
    assert counts == {"labelled_images": 100, "unlabelled_images": 1338, "teacher_labels": 1438}


def test_provenance_knows_which_labels_are_known(digits):
    facts = training_images.label_record(digits(10))
    assert (facts["labelled"], facts["unlabelled"]) == (100, 1338)
    assert facts == training_images.label_record(digits(10))
    assert facts["sha256"] != training_images.label_record(digits(11))["sha256"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"labels_per_class": 10, "method": ["kd", "dkd"]},
            r"with --labels-per-class there are images without a label, and the methods \['dkd'\]",
        ),
        (
            {"labels_per_class": 1, "unlabelled": ["folder:x"], "method": ["lskd:base_method=dkd"]},
            r"with --labels-per-class and --unlabelled .* \['lskd'\] need the label of every",
        ),
    ],
)
def test_methods_that_need_labels_are_refused_before_data_are_read(fields, message):
    with pytest.raises(ValueError, match=message):
        precheck.check_recipe(Recipe(**fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hide_from_teacher": True}, "labels_per_class is none; expected a number"),
        ({"unlabelled": ["folder:a", "folder:a"]}, "names 'folder:a' more than once"),
        ({"labels_per_class": 0}, "labels_per_class is 0; expected a whole number >= 1 or none"),
        (
            {"labels_per_class": 2, "accumulate": 2},
            "accumulate is 2; expected 1 with images",
        ),
        ({"unlabelled": 3}, "unlabelled is 3; expected folder:PATH or tfds:NAME"),
    ],
)
def test_fields_that_do_not_fit_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**fields)


def test_a_folder_with_a_blank_in_its_name_is_one_source():
    assert Recipe(unlabelled="folder:my pictures").unlabelled == ("folder:my pictures",)
    assert Recipe(unlabelled="none").unlabelled == ()


def test_baselines_of_few_images_take_smaller_batches(digits):
    images, _ = training_images.phase_images(Recipe(batch_size=512), digits(10), {"b": Learner()})
    np.testing.assert_array_equal(np.bincount(images.labels), [10] * 10)
