"""Gradients of a built method, on whichever backend Keras runs."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

from kd_keras import methods

# One of each kind: logits, features in two stages, a memory of ids, two views, and peers. The suite
# runs the files below for these alone.
IN_THE_SUITE = ("kd", "ab", "crd", "crld", "dml")
OF_EVERY_METHOD = (
    *("test_any_model.py", "test_bad_input.py", "test_contract.py", "test_contract_losses.py"),
    "test_multi_label.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks the tests of the other methods `extended`; one process runs those of one method."""
    for item in items:
        here = item.path.parent == Path(__file__).parent and item.path.name in OF_EVERY_METHOD
        values = item.callspec.params.values() if here and hasattr(item, "callspec") else ()
        for name in {v for v in values if isinstance(v, str)} & set(methods.names()):
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem} {name}"))
            if name not in IN_THE_SUITE:
                item.add_marker(pytest.mark.extended)


def load_module(path):
    spec = importlib.util.spec_from_file_location(f"{path.stem}_of_methods", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def autodiff():
    return load_module(Path(__file__).parent.parent / "parity" / "autodiff.py")


@pytest.fixture(scope="session")
def pair():
    """The module tiny_pair."""
    return load_module(Path(__file__).with_name("tiny_pair.py"))


@pytest.fixture
def loss_and_gradients(autodiff):
    """(method, student, teacher, batch) to the (B,) loss and the gradients of its mean.

    With first_stage=True the first stage's loss. Gradients are keyed ("student", tap),
    ("teacher", tap) and ("part", path of the variable).
    """

    def run(method, student, teacher, batch, *, first_stage=False):
        variables = {v.path: v for v in method.trainable_variables}
        groups = {
            "student": student,
            "teacher": teacher,
            "part": {path: np.asarray(v) for path, v in variables.items()},
        }
        arrays = {(group, key): a for group, values in groups.items() for key, a in values.items()}

        def loss(tensors):
            values = [(v, tensors["part", path]) for path, v in variables.items()]
            outputs = {
                group: {key: tensors[group, key] for key in groups[group]}
                for group in ("student", "teacher")
            }
            with keras.StatelessScope(state_mapping=values):
                losses = method.first_stage_call if first_stage else method
                return {"loss": losses(**outputs, batch=batch)}

        results, gradients = autodiff.values_and_gradients(
            loss, arrays, [("loss", key) for key in arrays]
        )
        return results["loss"], {key: g for (_, key), g in gradients.items()}

    return run


@pytest.fixture
def teaches(loss_and_gradients):
    """Asserts what every method owes; returns the (B,) loss.

    Loss and gradients are finite, every tap of the student and every trainable part has a
    gradient, the teacher has none.
    """

    def run(method, student, teacher, batch):
        loss, gradients = loss_and_gradients(method, student, teacher, batch)
        assert np.shape(loss) == np.shape(batch.labels)
        assert np.all(np.isfinite(loss))
        for (group, name), gradient in gradients.items():
            assert np.all(np.isfinite(gradient)), name
            if group == "teacher":
                assert not np.any(gradient), f"the teacher's {name} has a gradient"
            elif group == "part" or name in method.student_taps:
                assert np.any(gradient), f"{name} has no gradient"
        return loss

    return run
