import numpy as np
import pytest
from PIL import Image

from kd_keras import methods
from kd_keras.job.images import adjustment
from kd_keras.job.recipe import recipe_files
from kd_keras.job.recipe.recipe_files import Recipe


def adjusted(*settings, images=180, side=224, classes=2, **fields):
    base = recipe_files.resolve(None, {"dataset": "folder:pets", **fields}, settings)
    return base, adjustment.adjust_recipe(base, num_images=images, side=side, num_classes=classes)


@pytest.mark.parametrize(
    ("images", "batch"),
    [(1, 1), (5, 4), (20, 8), (180, 8), (1000, 32), (2000, 64), (7680, 256), (100_000, 256)],
)
def test_the_batch_is_the_largest_power_of_two_with_enough_steps(images, batch):
    assert adjustment.batch_size(256, images) == batch


def test_a_small_folder_gets_smaller_steps_and_more_epochs():
    _, result = adjusted()
    # 22 steps an epoch
    assert (result.batch_size, result.epochs, result.teacher_epochs) == (8, 41, 41)
    assert result.views == 16  # as many times the recipe's as its epochs
    assert result.learning_rate == pytest.approx(0.006 * (8 / 256) ** 0.5, rel=0.05)
    assert result.teacher_learning_rate == pytest.approx(0.002 * (8 / 256) ** 0.5, rel=0.05)


def test_data_as_large_as_the_recipes_own_change_nothing():
    base, result = adjusted(images=50_000, side=64, classes=200)
    assert recipe_files.difference(base, result) == []


@pytest.mark.parametrize(
    ("side", "stride"), [(16, 1), (32, 1), (64, 2), (96, 2), (128, 4), (224, 4)]
)
def test_the_stem_follows_the_size_of_the_images(side, stride):
    _, result = adjusted(side=side)
    assert result.teacher == (f"resnet18:width=0.5,stem_stride={stride}",)
    assert result.student == (f"resnet8:stem_stride={stride}",)


def test_two_classes_fall_back_to_kd_and_three_do_not():
    assert adjusted(classes=2)[1].method == ("kd",)
    assert adjusted(classes=3)[1].method == recipe_files.load("tiny_imagenet").method


def test_what_a_person_chose_stays(tmp_path):
    chosen = {
        "method": ("lskd",),
        "batch_size": "256",
        "epochs": "3",
        "teacher_epochs": "4",
        "student": ("resnet8:stem_stride=2",),
        "teacher": ("resnet8",),
        "learning_rate": "0.1",
    }
    base, result = adjusted(**chosen, views="2", teacher_learning_rate="0.2")
    assert recipe_files.difference(base, result) == []
    base, result = adjusted("batch_size=64", "method=dkd", "epochs=1")
    assert (result.batch_size, result.method, result.epochs) == (64, ("dkd",), 1)
    file = tmp_path / "mine.toml"
    file.write_text('dataset = "folder:pets"\nbatch_size = 512\nmethod = ["lskd"]\n')
    result = adjustment.adjust_recipe(
        recipe_files.load(file), num_images=180, side=64, num_classes=2
    )
    assert (result.batch_size, result.method) == (512, ("lskd",))


def test_an_adjusted_recipe_is_not_adjusted_again_nor_after_it_was_written():
    _, result = adjusted()
    for other in (result, recipe_files.from_json(recipe_files.to_json(result))):
        assert adjustment.adjust_recipe(other, num_images=40, side=32, num_classes=2) == result


def test_methods_say_how_many_classes_they_need():
    needing = {name for name in methods.names() if methods.min_classes(name) == 3}
    assert needing == {n for n in methods.names() if "three classes" in methods.explain(n)}
    assert needing == {"dist", "dkd", "lskd", "nkd", "uskd", "wkd"}


def test_the_screen_says_what_was_adjusted(recorder, tmp_path, monkeypatch):
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))
    for name, level in (("cat", 40), ("dog", 200)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.full((16, 16, 3), level + i, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{i}.png")
    screen = recorder()
    recipe = recipe_files.resolve(None, {"dataset": f"folder:{tmp_path / 'pets'}"})
    result, data = adjustment.load_and_adjust(recipe, screen)
    assert len(data.train) == 36
    assert (result.method, result.batch_size) == (("kd",), 8)
    text = "\n".join(screen.lines)
    assert "ce_weight=0.1, which needs more classes" in text
    assert "adjusted to 36 training images: " in text
    assert "batch_size: 256 to 8" in text
    few = recorder()
    same, _ = adjustment.load_and_adjust(recipe, few, shown_fields=("views", "teacher"))
    assert same == result
    assert not any("method" in line or "batch_size" in line for line in few.lines)
    assert "views: 2 to " in "\n".join(few.lines)


@pytest.mark.parametrize("teacher", ["cache:rows", "teacher.onnx", "runs/big/teacher.keras"])
def test_adjusted_settings_of_a_trained_teacher_are_not_shown(teacher):
    recipe = Recipe(teacher=teacher)
    adjusted = adjustment.adjust_recipe(recipe, num_images=900, side=32, num_classes=9)
    assert adjusted.teacher_epochs != recipe.teacher_epochs
    (line,) = adjustment.describe_changes(recipe, adjusted, num_images=900, num_classes=9)
    assert "epochs: " in line
    assert "teacher_" not in line


def test_a_recipe_of_its_own_data_reads_none_of_them(recorder):
    recipe = recipe_files.load("tiny_imagenet")
    assert adjustment.load_and_adjust(recipe, recorder()) == (recipe, None)
    assert Recipe(dataset="digits").model_fields_set == {"dataset"}


def test_a_built_in_recipe_hides_labels_of_its_own_dataset_only():
    quickstart = recipe_files.load("quickstart")
    assert quickstart.labels_per_class == 10
    other = recipe_files.resolve("quickstart", {"dataset": "tfds:cifar10"})
    assert adjustment.with_all_labels(other).labels_per_class is None
    chosen = recipe_files.resolve("quickstart", {"dataset": "tfds:cifar10", "labels_per_class": 5})
    assert adjustment.with_all_labels(chosen).labels_per_class == 5


@pytest.mark.parametrize("name", ["quickstart", "tiny_imagenet"])
def test_naming_the_dataset_of_a_recipe_changes_nothing(name, recorder):
    recipe = recipe_files.load(name)
    same = recipe_files.resolve(name, {"dataset": recipe.dataset})
    assert adjustment.load_and_adjust(same, recorder()) == (recipe, None)
    other = recipe_files.resolve(name, {"dataset": recipe.dataset, "epochs": 3})
    assert other.model_fields_set == {"epochs"}
