import pytest
from click.testing import CliRunner

from kd_keras import data, methods, models
from kd_keras.cli import kdk
from kd_keras.job.recipe import recipe_files


def listed(*arguments):
    return CliRunner().invoke(kdk, ["list", *arguments])


@pytest.mark.parametrize(
    ("kind", "module"),
    [("datasets", data), ("models", models), ("recipes", recipe_files)],
)
def test_each_kind_has_a_line_a_name(kind, module):
    lines = listed(kind).output.splitlines()
    assert [line.split()[0] for line in lines] == list(module.names())
    assert all(len(line.split()) > 2 for line in lines)


def test_methods_stand_under_their_families():
    lines = listed("methods").output.splitlines()
    headings = [line for line in lines if not line.startswith("  ")]
    assert headings == [f" {family}:" for family in methods.FAMILIES]
    families, family = {}, None
    for line in lines:
        if line in headings:
            family = line.strip(" :")
        else:
            families[line.split()[0]] = family
            assert len(line.split()) > 2
    assert families == {name: methods.family(name) for name in methods.names()}
    assert families["hard"] == "label-free"
    assert families["rkd"] == "relations"


def test_without_a_kind_all_are_listed():
    headings = [
        line for line in listed().output.splitlines() if line.endswith(":") and line[0] != " "
    ]
    assert headings == ["datasets:", "models:", "methods:", "recipes:"]


def test_a_name_is_described_at_length():
    assert listed("methods", "kd").output == methods.explain("kd") + "\n"
    assert "# Command: kdk train" in listed("recipes", "quickstart").output
    assert listed("datasets", "digits").output == data.describe("digits") + "\n"


@pytest.mark.parametrize(
    ("spec", "parameters", "macs", "megabytes"),
    [
        # The stride quarters all but the dense layer's 64 * 200.
        ("resnet8", 91_064, 50_016_768, "0.36"),
        ("resnet8:stem_stride=2", 91_064, 12_513_792, "0.36"),
    ],
)
def test_a_model_is_described_with_its_knobs_and_costs(spec, parameters, macs, megabytes):
    lines = listed("models", spec).output.splitlines()
    assert lines[0].startswith(f"{spec}: CIFAR ResNet, 8 layers")
    assert [line.split(":")[0].strip() for line in lines[2:4]] == ["width", "stem_stride"]
    assert lines[4:] == [
        "for images of 64x64x3 in 200 classes, as in tiny_imagenet:",
        f"  parameters: {parameters:,}",
        f"  multiply-adds an image: {macs:,} ({macs / 1e6:,.1f} million)",
        f"  float32 weights: {megabytes} MB",
    ]


def test_an_application_is_described_at_a_size_that_it_takes():
    output = listed("models", "app:InceptionV3").output
    assert "  weights: imagenet, none or a file" in output
    assert "for images of 224x224x3 in 200 classes:" in output


def test_a_wrong_knob_names_the_nearest():
    result = listed("models", "resnet8:widht=2")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Did you mean 'width'?" in result.stderr


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
