import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from kd_keras.job import plan
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.training import hparams

RECIPE = Recipe(
    student=["resnet8", "vgg8"],
    method=["kd", "fitnet"],
    each_method=True,
    baseline=True,
    baseline_learning_rate=0.003,
    teacher_epochs=9,
    schedule="cosine",
)


def of(phase):
    (model,) = [model for model in plan.models(RECIPE) if model.phase == phase]
    return hparams.values(RECIPE, model)


def test_what_differs_between_models_comes_first_then_what_is_no_default():
    names = list(of("student-4"))
    assert names[:5] == list(hparams.FIRST)
    changed = ["each_method", "baseline", "teacher_epochs", "baseline_learning_rate", "schedule"]
    assert names[5:10] == changed
    assert set(names) == {*Recipe.model_fields, "model", "methods"} - {"student", "method"}


def test_each_model_has_its_own_values():
    first = ("model", "methods", "epochs", "learning_rate")
    values_by_phase = {
        phase: [of(phase)[name] for name in first] for phase in ("teacher", "student-4")
    }
    assert values_by_phase["teacher"] == ["resnet20", "none", 9, 0.001]
    assert values_by_phase["student-4"] == ["vgg8", "fitnet", 5, 0.001]
    assert [of("baseline-2")[name] for name in first] == ["vgg8", "none", 5, 0.003]


def test_the_page_has_columns_what_differs_first_and_the_metrics(tmp_path):
    settings = {"model": "resnet8", "epochs": 5, "more": {"rate": 0.1, "on": True}, "ema": None}
    hparams.write(tmp_path, settings, {"top1": 0.25})
    events = EventAccumulator(str(tmp_path)).Reload()

    def read(name):
        content = events.SummaryMetadata(name).plugin_data.content
        return plugin_data_pb2.HParamsPluginData.FromString(content)

    experiment = read("_hparams_/experiment").experiment
    assert [info.name for info in experiment.hparam_infos] == [
        *("model", "epochs", "more.rate", "more.on", "ema")
    ]
    # The page shows these before the others, which it sorts by name.
    assert [info.name for info in experiment.hparam_infos if info.differs] == ["model", "epochs"]
    (metric,) = experiment.metric_infos
    assert (metric.name.tag, metric.display_name) == ("final/top1", "top1")
    session = read("_hparams_/session_start_info").session_start_info.hparams
    assert session["model"].string_value == "resnet8"
    assert session["epochs"].number_value == 5
    assert session["more.rate"].number_value == 0.1
    assert session["more.on"].bool_value is True
    assert session["ema"].string_value == "null"
    (event,) = events.Tensors("final/top1")
    assert tf.make_ndarray(event.tensor_proto).item() == 0.25
