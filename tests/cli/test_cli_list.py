import pytest
from click.testing import CliRunner

from kd_keras import data, methods, models, recipe
from kd_keras.cli import kdk


def listed(*arguments):
    return CliRunner().invoke(kdk, ["list", *arguments])


@pytest.mark.parametrize(
    ("kind", "module"),
    [("datasets", data), ("models", models), ("methods", methods), ("recipes", recipe)],
)
def test_each_kind_has_a_line_a_name(kind, module):
    lines = listed(kind).output.splitlines()
    assert [line.split()[0] for line in lines] == list(module.names())
    assert all(len(line.split()) > 2 for line in lines)


def test_without_a_kind_all_are_listed():
    headings = [line for line in listed().output.splitlines() if line.endswith(":")]
    assert headings == ["datasets:", "models:", "methods:", "recipes:"]


def test_a_name_is_told_at_length():
    assert listed("methods", "kd").output == methods.explain("kd") + "\n"
    assert "# Command: kdk train" in listed("recipes", "quickstart").output
    assert listed("datasets", "digits").output == data.describe("digits") + "\n"


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["modles"], "models"),
        (["models", "resnet21"], "resnet20"),
        (["methods", "fitnt"], "fitnet"),
        (["recipes", "quikstart"], "quickstart"),
        (["datasets", "digit"], "digits"),
    ],
)
def test_an_unknown_name_exits_2_with_the_nearest(arguments, nearest):
    result = listed(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert arguments[-1] in result.stderr
    assert nearest in result.stderr
