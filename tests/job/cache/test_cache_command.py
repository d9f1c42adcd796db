import pytest
from click.testing import CliRunner

from kd_keras.cli import cache, errors
from kd_keras.job.cache import cache_command
from kd_keras.job.checks import precheck
from kd_keras.job.recipe import recipe_files


def refusal(*, views_per_image=1, **fields):
    with pytest.raises(ValueError) as error_info:
        cache_command.require_no_onnx(
            recipe_files.resolve(None, fields), views_per_image=views_per_image
        )
    return str(error_info.value)


def test_an_onnx_teacher_is_answered_with_the_commands_to_type():
    message = refusal(
        dataset="folder:/data/my pets",
        teacher="nets/big.onnx",
        views=3,
        teacher_preprocess="torch",
        validate_on_holdout=True,
    )
    command, how, options = message.splitlines()[1:]
    assert command == (
        "    kdk cache --dataset 'folder:/data/my pets' --validate-on-holdout --views 3 "
        "--teacher nets/big.onnx --teacher-preprocess torch --out big-cache"
    )
    assert "same kdk train" in how
    assert options == "    --teacher cache:big-cache --views 3"


def test_the_number_of_views_follows_from_epochs_and_methods():
    message = refusal(teacher="big.onnx", views=0, epochs=30, views_per_image=2)
    assert "--views 10 --teacher big.onnx" in message.splitlines()[1]
    assert message.splitlines()[3].endswith("--views 5")


def test_the_command_is_one_that_kdk_cache_takes(monkeypatch):
    words = refusal(teacher="big.onnx", views=2).splitlines()[1].split()
    assert words[:2] == ["kdk", "cache"]
    values = {}
    monkeypatch.setattr(cache.command, "callback", lambda **options: values.update(options))
    assert CliRunner().invoke(cache.command, words[2:]).exit_code == 0
    assert (values["teacher"], values["views"], values["out"]) == (("big.onnx",), "2", "big-cache")


def test_onnx_files_in_other_places_are_refused():
    assert "cannot be trained" in refusal(student="small.onnx")
    assert "expected an ONNX file alone" in refusal(teacher=["big.onnx", "resnet20"])


def test_the_suffix_of_an_onnx_file_may_have_any_case():
    recipe = recipe_files.resolve(None, {"teacher": "Big.ONNX"})
    assert cache_command.onnx_teacher(recipe) == "Big.ONNX"
    assert cache_command.onnx_teacher(recipe_files.resolve(None, {})) is None


@pytest.mark.parametrize("file", ["big.onnx", "./Big.ONNX"])
def test_an_onnx_teacher_is_refused_before_training(file):
    with pytest.raises(ValueError, match=r"(?i)big\.onnx is an ONNX file; expected a cache"):
        precheck.check_recipe(recipe_files.resolve(None, {"teacher": file}))


def test_commands_in_a_message_are_not_wrapped(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    command = "    kdk cache " + "--teacher-preprocess torch " * 3
    lines = errors.wrapped(f"{'words ' * 20}\n{command}").splitlines()
    assert lines[-1] == command
    assert max(map(len, lines[:-1])) <= 40
