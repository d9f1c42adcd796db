import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from kd_keras import job
from kd_keras.cli import kdk, quiet
from kd_keras.job.recipe import recipe_files
from kd_keras.results.terminal.screen import Screen


@pytest.fixture
def calls(monkeypatch):
    """Replaces the run by a list of what it was called with."""
    invocations = []

    def run(recipe, **options):
        invocations.append(SimpleNamespace(recipe=recipe, **options))
        return {}

    use(monkeypatch, run)
    return invocations


def use(monkeypatch, run):
    monkeypatch.setattr(quiet, "import_tensorflow", lambda: None)
    fake = SimpleNamespace(run=run)
    monkeypatch.setitem(sys.modules, "kd_keras.job.train", fake)
    monkeypatch.setattr(job, "train", fake, raising=False)  # where it is imported already


def train(*arguments, env=None):
    return CliRunner().invoke(kdk, ["train", *arguments], env=env)


def test_several_teachers_and_assistants_are_options_given_again(calls):
    weights = ("--ensemble-weights", "2", "--ensemble-weights", "1")
    result = train("--teacher", "vgg13", "--teacher", "my teacher.keras", *weights)
    assert result.stderr == ""
    train(*["--assistants", "resnet20", "--assistants", "resnet14", "--generations", "3"])
    assert calls[0].recipe.teacher == ("vgg13", "my teacher.keras")
    assert calls[0].recipe.ensemble_weights == (2.0, 1.0)
    assert calls[1].recipe.assistants == ("resnet20", "resnet14")
    assert calls[1].recipe.generations == 3


def test_an_old_spelling_of_a_list_is_read_with_one_line_of_warning(calls):
    result = train("--teacher", "vgg13", "--teacher", "vgg8", "--ensemble-weights", "2,1")
    assert (result.exit_code, calls[0].recipe.ensemble_weights) == (0, (2.0, 1.0))
    (line,) = result.stderr.splitlines()
    assert line.startswith("kdk: warning: ensemble_weights is '2,1', several values in one text. ")
    assert "Give the option again for each value" in line


def test_a_finished_runs_student_is_the_teacher_on_that_runs_recipe(calls, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "first"
    folder.mkdir(parents=True)
    for name in ("student.keras", "results.json"):
        (folder / name).write_text("")
    (folder / "recipe.json").write_text(recipe_files.to_json(recipe_files.resolve("quickstart")))
    train("--teacher-from", "first", "--generations", "2", "--set", "epochs=3")
    assert recipe_files.difference(recipe_files.load("quickstart"), calls[0].recipe) == [
        "teacher: 'resnet20' -> 'runs/first/student.keras'",
        "generations: 1 -> 2",
        "epochs: 16 -> 3",
    ]


def test_without_options_the_default_recipe_runs(calls):
    result = train()
    assert (result.exit_code, result.output) == (0, "")
    (call,) = calls
    assert call.recipe == recipe_files.load("tiny_imagenet")
    assert (call.run, call.export_dir) == (None, "saved_models")
    assert isinstance(call.screen, Screen)


def test_options_win_over_the_recipe_and_set_over_options(calls):
    train(
        *["--recipe", "plain_cnn", "--run", "mine", "--export-dir", "out", "--baseline"],
        *["--method", "kd:weight=0.9", "--method", "fitnet:tap=stage2"],
        *["--epochs", "7", "--batch-size", "32", "--teacher-preprocess", "-1..1"],
        *["--set", "epochs=8", "--set", "val-fraction=0.2"],
    )
    (call,) = calls
    assert (call.run, call.export_dir) == ("mine", "out")
    assert recipe_files.difference(recipe_files.load("plain_cnn"), call.recipe) == [
        "val_fraction: None -> 0.2",
        "teacher_preprocess: None -> '-1..1'",
        "method: ['kd:temperature=3'] -> ['kd:weight=0.9', 'fitnet:tap=stage2']",
        "baseline: False -> True",
        "epochs: 5 -> 8",
        "batch_size: 1024 -> 32",
    ]


def test_temperature_and_weight_set_knobs_of_the_first_method(calls):
    train("--recipe", "plain_cnn", "--temperature", "2", "--kd-weight", "0.5")
    assert calls[0].recipe.method == ("kd:temperature=2,weight=0.5",)
    help_text = " ".join(train("--help").output.split())
    assert "--temperature X softmax temperature of the first method" in help_text


def test_no_baseline_takes_back_what_a_recipe_asks(calls, tmp_path):
    (tmp_path / "mine.toml").write_text("baseline = true\n")
    train("--recipe", str(tmp_path / "mine.toml"), "--no-baseline")
    assert calls[0].recipe.baseline is False


def test_a_written_recipe_runs_again(calls, tmp_path):
    before = recipe_files.resolve("quickstart", {"seed": 3})
    (tmp_path / "recipe.json").write_text(recipe_files.to_json(before))
    train("--recipe", str(tmp_path))
    assert calls[0].recipe == before


def test_help_shows_every_field_with_the_default_recipes_value():
    text = " ".join(train("--help").output.split())
    for name in recipe_files.Recipe.model_fields:
        flag = "import" if name == "imports" else name.replace("_", "-")
        assert f"--{flag} " in text or f"--{flag}, --" in text
    assert "epochs for students, baselines and assistants [5]" in text
    assert "seed of the augmentation [0]" in text
    assert "--traceback" not in text


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--recipe", "quikstart"], ["recipe is 'quikstart'", "Did you mean 'quickstart'?"]),
        (["--recipe", "no/such.toml"], ["recipe file 'no/such.toml' does not exist", "quickstart"]),
        (["--recipe", "bad.toml"], ["recipe file 'bad.toml'", "line 2"]),
        (["--recipe", "field.toml"], ["'field.toml': recipe field is 'epoch'", "mean 'epochs'?"]),
        (["--set", "epoch=3"], ["recipe field is 'epoch'", "Did you mean 'epochs'?"]),
        (["--set", "epochs"], ["--set is 'epochs'; expected FIELD=VALUE, such as --set epochs=10"]),
        (["--temperature", "0"], ["temperature is 0; expected a finite number > 0"]),
        (["--temperature", "-1.5"], ["temperature is -1.5; expected a finite number > 0"]),
        (["--epochs", "-1"], ["epochs is -1; expected a whole number >= 1"]),
        (["--optimizer", "adm"], ["optimizer is 'adm'; expected one of:", "Did you mean 'adam'?"]),
        (["--method", "kd:temperature"], ["'kd:temperature' is not a valid spec; expected NAME"]),
        (["--generations", "0"], ["generations is 0; expected a whole number >= 1"]),
        (
            ["--ensemble-weights", "1", "--ensemble-weights", "2"],
            ["[1.0, 2.0] for 1 teachers", "a number for each"],
        ),
        (["--teacher-from", "one"], ["--teacher-from is 'one'", "runs/one does not exist", "none"]),
    ],
)
def test_wrong_input_gets_one_line_and_exit_code_2(calls, tmp_path, monkeypatch, arguments, parts):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text("seed = 1\nepochs = = 2\n")
    (tmp_path / "field.toml").write_text("epoch = 2\n")
    result = train(*arguments)
    assert (result.exit_code, result.stdout, calls) == (2, "", [])
    assert result.stderr.startswith("kdk: ")
    assert result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr


def test_an_unknown_option_names_the_nearest(calls):
    result = train("--optimzer", "adam")
    assert result.exit_code == 2
    assert "--optimizer" in result.stderr


def fail_with(error):
    def run(recipe, **rest):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError("bad [path]/x"), 2, "kdk: bad [path]/x\n"),
        (FileNotFoundError("no data"), 2, "kdk: no data\n"),
        (
            OSError(28, "No space left on device"),
            2,
            "kdk: No space left on device. Free space on the disk that is full (",
        ),
        (KeyboardInterrupt(), 130, "kdk: stopped by Ctrl-C. Run the same command again to cont"),
    ],
)
def test_an_error_of_the_run_becomes_a_message(monkeypatch, error, code, message):
    use(monkeypatch, fail_with(error))
    result = train()
    assert result.exit_code == code
    assert result.stderr.startswith(message)


@pytest.mark.parametrize(
    ("arguments", "env"), [(["--traceback"], {}), ([], {"KDK_TRACEBACK": "1"})]
)
def test_a_traceback_is_shown_on_request(monkeypatch, arguments, env):
    use(monkeypatch, fail_with(ValueError("bad")))
    result = train(*arguments, env=env)
    assert result.exit_code == 2
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.endswith("\nkdk: bad\n")


def test_a_bug_is_not_hidden(monkeypatch):
    use(monkeypatch, fail_with(AttributeError("a bug")))
    assert isinstance(train().exception, AttributeError)


def test_data_options_reach_the_recipe_and_the_run(calls):
    train("--dataset", "folder:pets", "--resize", "pad", "--no-flip", "--verify")
    train("--dataset", "folder:pets")
    train("--flip", "--set", "resize=none")
    assert [call.recipe.resize for call in calls] == ["pad", None, None]
    assert [call.recipe.flip for call in calls] == [False, None, True]
    assert [call.verify for call in calls] == [True, False, False]


def test_continue_takes_the_recipe_of_the_run(calls, tmp_path):
    result = train("--continue", "--epochs", "9")
    assert (result.exit_code, "--continue without --run" in result.stderr) == (2, True)
    recipe = recipe_files.Recipe(dataset="digits", batch_size=64)
    (tmp_path / "recipe.json").write_text(recipe_files.to_json(recipe))
    train("--run", str(tmp_path), "--continue", "--epochs", "9")
    (call,) = calls
    assert call.more_epochs
    assert call.recipe == recipe.model_copy(update={"epochs": 9})
