import subprocess
import sys

import keras
import numpy as np
import pytest

from kd_keras import Distiller, methods
from kd_keras.methods.base import Batch, Method
from kd_keras.methods.parts import requirements


def test_names_are_the_files_and_none_is_a_shared_piece():
    assert {"kd", "fitnet"} <= set(methods.names())
    assert not {"base", "parts", "projectors", "__init__"} & set(methods.names())
    assert list(methods.names()) == sorted(methods.names())


@pytest.mark.parametrize("name", methods.names())
def test_every_method_has_defaults_a_line_about_it_and_its_file_s_name(name):
    method = methods.get(name)
    assert method.name == name
    assert method.dtype_policy.name == "float32"
    assert 10 < len(methods.describe(name)) <= 100
    assert "\nSource: " in methods.explain(name)
    assert {"weight", "ce_weight", "warmup", "name"} <= set(methods.knobs(name))


@pytest.mark.parametrize("name", methods.names())
def test_every_method_can_be_made_again_from_its_configuration(name):
    method = methods.get(name, weight=0.25, name="mine")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(method))
    assert type(again) is type(method)
    assert again.get_config() == method.get_config()
    assert (again.weight, again.name) == (0.25, "mine")


def test_names_and_descriptions_import_nothing_heavy():
    code = (
        "import sys; from kd_keras import methods; methods.names(); methods.explain('kd')\n"
        "sys.exit(', '.join({'tensorflow', 'keras', 'numpy'} & set(sys.modules)) or None)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, f"imported: {result.stderr}"


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"method is 'fitnets'; .*Did you mean 'fitnet'\?"):
        methods.get("fitnets")
    with pytest.raises(ValueError, match=r"knob of method 'kd' is 'temprature'; .*'temperature'\?"):
        methods.get("kd", temprature=2)
    with pytest.raises(ValueError, match="Run `kdk list methods`"):
        methods.describe("none_such")


@pytest.mark.parametrize("knob", ["weight", "ce_weight", "warmup"])
def test_bad_weights_are_refused(knob):
    with pytest.raises(ValueError, match=rf"kd: {knob} is -1; expected a finite number >= 0"):
        methods.get("kd", **{knob: -1})


def test_logits_reach_a_method_in_float32_under_any_policy():
    keras.config.set_dtype_policy("mixed_float16")  # whose largest number is 65504
    try:
        method = methods.get("kd", temperature=1.0)
        student, teacher = np.array([[1e5, 0.0]], "float32"), np.array([[0.0, 1e5]], "float32")
        loss = method(student={"logits": student}, teacher={"logits": teacher}, batch=Batch(None))
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(loss, [1e5])


def test_parts_are_built_once_for_their_shapes():
    def shapes(width):
        return {"stage2": (None, 4, 4, width), "logits": (None, 5)}

    method = methods.get("fitnet")
    method.build_for(shapes(4), shapes(6))
    parts = [id(v) for v in method.variables]
    assert len(parts) == 6
    method.build_for(shapes(4), shapes(6))
    assert [id(v) for v in method.variables] == parts
    with pytest.raises(ValueError, match=r"fitnet was built for taps of shapes.*Make a new m"):
        method.build_for(shapes(8), shapes(6))


def test_a_method_must_say_what_it_costs():
    class Mute(Method):
        pass

    with pytest.raises(
        NotImplementedError, match=r"Mute has no call\(\); expected .*\. Define call\(self, student"
    ):
        Mute(weight=1, ce_weight=1).call({}, {}, Batch(None))


@pytest.mark.parametrize(
    ("old", "new"),
    [("whole_batch", "needs_whole_batch"), ("takes_multi_label", "supports_multi_label")],
)
def test_a_method_with_the_old_name_of_an_attribute_is_refused(old, new):
    with pytest.raises(TypeError, match=f"Own has the attribute {old}, .* expected {new}. Rename"):
        type("Own", (Method,), {old: True})


def test_what_is_no_method_is_refused():
    with pytest.raises(
        ValueError, match=r"methods contain 'kd'; expected Method objects\. Make one with kd_keras"
    ):
        requirements.as_methods("kd")


@pytest.mark.parametrize("views", [0, 3])
def test_more_than_two_views_of_an_image_are_refused(views):
    class Views(Method):
        views_per_image = views

    with pytest.raises(
        ValueError, match=rf"mine: views_per_image is {views}; expected 1 or 2\. Set it in .* Views"
    ):
        requirements.as_methods([methods.get("kd"), Views(name="mine")])
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match=rf"views_per_image is {views}; expected 1 or 2"):
        Distiller(model, teacher=model, methods=Views())


@pytest.mark.parametrize("name", methods.names())
def test_the_account_of_a_method_ends_in_its_departures_from_the_paper(name):
    *_, last = methods.explain(name).split("\n\n")
    departures = type(methods.get(name)).departures
    assert " ".join(last.split()).removeprefix("Departures: ") == departures or not departures
    assert last.startswith("Departures: ") == bool(departures)


def test_reviewkd_reads_the_same_taps_of_both_models_if_only_taps_are_named():
    default, chosen = methods.get("reviewkd"), methods.get("reviewkd", taps="stage1+stage2")
    assert default.student_taps == ("stage1", "stage2", "stage3", "pooled")
    assert default.teacher_taps == ("stage1_preact", "stage2_preact", "stage3_preact", "pooled")
    assert chosen.student_taps == chosen.teacher_taps == ("stage1", "stage2")
