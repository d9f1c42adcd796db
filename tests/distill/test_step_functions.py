"""How long the way through a training step is, so that it cannot grow unnoticed."""

import sys
from pathlib import Path

import keras
import pytest

import kd_keras
from kd_keras import Distiller, methods

PACKAGE = str(Path(kd_keras.__file__).parent)
FROM_THE_STEP_TO_THE_GRADIENT = [
    "replicas.after_data.<locals>.step_after_data",
    "distill.distiller.Distiller.train_step",
    "distill.step.batches.unpack",
    "losses.is_class_index",
    "distill.distiller.Distiller.loss_of",
    "graph.twins.Twin.__call__",
    "replicas.count",
    "graph.fused_batch_norm.FusedBatchNormalization.call",
    "graph.twins._RecordingScope.add_update",
    "distill.step.objective.Objective.__call__",
    "distill.step.objective.Objective._method_losses",
    "methods.kd.KD.call",
    "losses.softened_kl",
    "losses.cross_entropy",
    "distill.step.gradients.step",
    "graph.bias_gradient._gradient",
]
AFTER = "distill.keras_model.deploying_model.DeployingModel._update_metrics"
OF_A_TEACHER_THAT_RUNS = {
    "distill.keras_model.deploying_model.DeployingModel.teacher_outputs",
    "distill.step.teacher.Teacher.__call__",
    "graph.folding.Folded.values",
    "graph.folding.Folded._scale_and_shift",
    "graph.folding.Folded._along_channels",
    "graph.heads.logits_of_teacher",
}


def functions_of(step):
    """Functions of the package that a call runs, each once, in the order of their first call."""
    names = {}

    def watch(frame, event, argument):
        code = frame.f_code
        inside = code.co_filename.startswith(PACKAGE)
        if event == "call" and inside and not code.co_name.startswith("<"):
            module = Path(code.co_filename).relative_to(PACKAGE).with_suffix("")
            names.setdefault(".".join([*module.parts, code.co_qualname]))

    sys.setprofile(watch)
    try:
        step()
    finally:
        sys.setprofile(None)
    return list(names)


@pytest.fixture
def distiller(net, teacher):
    distiller = Distiller(net("student"), teacher=teacher, methods=methods.get("kd"))
    distiller.compile(metrics=["accuracy"], run_eagerly=True)
    return distiller


def test_a_step_passes_sixteen_functions_to_the_gradient(distiller, images, labels):
    logits = {"logits": distiller.teacher(images[:8])}
    x = {"inputs": images[:8], "id": labels[:8], "teacher": logits}
    batch = keras.tree.map_structure(keras.ops.convert_to_tensor, (x, labels[:8]))
    distiller.train_on_batch(images[:8], labels[:8])  # makes variables
    names = functions_of(lambda: distiller.train_step(batch))
    to_the_gradient = names[: names.index(AFTER)]
    assert to_the_gradient == FROM_THE_STEP_TO_THE_GRADIENT


def test_a_teacher_that_runs_adds_six(distiller, images, labels):
    batch = keras.ops.convert_to_tensor(images[:8]), keras.ops.convert_to_tensor(labels[:8])
    distiller.train_on_batch(*batch)
    names = functions_of(lambda: distiller.train_step(batch))
    to_the_gradient = set(names[: names.index(AFTER)])
    assert to_the_gradient == {*FROM_THE_STEP_TO_THE_GRADIENT, *OF_A_TEACHER_THAT_RUNS}
