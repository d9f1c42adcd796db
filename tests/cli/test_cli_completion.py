"""What a shell offers, asked as click's scripts ask."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from kd_keras import data, methods, models
from kd_keras.cli import completion, kdk
from kd_keras.job.recipe import fields, recipe_files

ROOT = Path(__file__).parents[2]


def offered(*words):
    *before, last = words
    complete = ShellComplete(kdk, {}, "kdk", "_KDK_COMPLETE")
    return complete.get_completions(list(before), last)


def values(*words):
    return [item.value for item in offered(*words)]


def test_options_offer_the_values_of_their_lists():
    assert values("train", "--method", "") == sorted(methods.names())
    assert values("train", "--method", "ls") == ["lskd"]
    assert values("train", "--student", "") == sorted([*models.names(), "app:"])
    assert values("train", "--teacher", "resnet1") == ["resnet110", "resnet14", "resnet18"]
    assert values("train", "--dataset", "") == ["digits", "folder:", "tfds:", "tiny_imagenet"]
    assert values("cache", "--recipe", "") == list(recipe_files.names())
    assert values("train", "--precision", "mixed") == ["mixed_bfloat16", "mixed_float16"]
    assert values("train", "--set", "batch") == ["batch_size="]
    assert values("train", "--optim") == ["--optimizer"]


def test_every_field_with_choices_offers_them():
    for name in fields.Recipe.model_fields:
        choices = fields.form(name)[1]
        if choices:
            offer = completion.field_completion(name)(None, None, "")
            assert {item.value for item in offer} >= set(choices)


def test_paths_are_left_to_the_shell():
    for option in ("--teacher", "--recipe", "--weights", "--data-dir"):
        (item,) = offered("train", option, "./run")
        assert (item.type, item.value) == ("file", "./run")


def test_runs_are_offered_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "first").mkdir(parents=True)
    (tmp_path / "runs" / "first" / "recipe.json").write_text("{}")
    assert values("train", "--teacher-from", "f") == ["first"]


def test_list_offers_kinds_and_names():
    assert values("list", "m") == ["models", "methods"]
    assert values("list", "models", "resnet5") == ["resnet56"]
    assert values("list", "datasets", "t") == [n for n in data.names() if n.startswith("t")]
    assert values("list", "nothing", "k") == []


@pytest.mark.parametrize("word", ["", "nonsense"])
def test_an_unknown_command_leaves_no_message_in_the_users_line(word):
    assert values(word, "--me") == []


def test_completion_imports_neither_tensorflow_nor_keras():
    code = (
        "import sys\n"
        "from click.shell_completion import ShellComplete\n"
        "from kd_keras.cli import kdk\n"
        "for option in ('--method', '--student', '--dataset', '--recipe', '--precision'):\n"
        "    complete = ShellComplete(kdk, {}, 'kdk', '_KDK_COMPLETE')\n"
        "    assert complete.get_completions(['train', option], '')\n"
        "sys.exit(', '.join(sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules))) or None)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
