import keras
import numpy as np

from kd_keras.distill.step.metrics import Diagnostics, ShareOfLoss, TopAccuracy, results


def test_share_is_a_ratio_of_sums_and_zero_before_any():
    share = ShareOfLoss("ce_share")
    assert float(share.result()) == 0
    share.update_state(1.0, 2.0)
    share.update_state(0.0, 2.0)
    assert float(share.result()) == 0.25
    share.reset_state()
    assert float(share.result()) == 0


def test_means_are_over_examples_not_batches():
    diagnostics = Diagnostics(["ce", "kd"], teacher=True)
    diagnostics.update(10.0, {"ce": 2.0, "kd": 4.0}, {"ce": 2.0, "kd": 8.0}, count=30)
    diagnostics.update(2.0, {"ce": 6.0, "kd": 0.0}, {"ce": 2.0, "kd": 0.0}, count=10)
    result = {metric.name: float(metric.result()) for metric in diagnostics.in_training()}
    assert result == {
        "loss": 8.0,
        "ce": 3.0,
        "kd": 3.0,
        "ce_share": 80 / 320,
        "kd_share": 240 / 320,
        "agreement": 0.0,
    }


def test_agreement_is_the_share_of_equal_first_choices():
    diagnostics = Diagnostics(["ce", "kd"], teacher=True)
    student = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 2.0]])
    diagnostics.update_agreement(student, np.array([[9.0, 1.0], [1.0, 0.0], [1.0, 0.0]]))
    np.testing.assert_allclose(float(diagnostics.agreement.result()), 2 / 3, rtol=1e-6)


def test_each_phase_names_what_it_updates():
    def names(metrics):
        return [metric.name for metric in metrics]

    distilling = Diagnostics(["ce", "kd"], teacher=True)
    assert names(distilling.in_evaluation(teacher=False)) == ["loss", "ce"]
    assert names(distilling.in_evaluation(teacher=True)) == ["loss", "ce", "agreement"]
    validating = distilling.in_evaluation(teacher=True, methods=["kd"])
    assert names(validating) == ["loss", "ce", "kd", "agreement"]
    other = Diagnostics(["ce", "simkd"], teacher=True, trains_deployed=False)
    assert "agreement" not in names(other.in_training())
    assert "agreement" in names(other.in_evaluation(teacher=True))
    plain = Diagnostics(["ce"], teacher=False)
    assert names(plain.in_training()) == ["loss", "ce"]
    assert names(plain.in_evaluation(teacher=True)) == ["loss", "ce"]


def test_top_accuracy_weighs_examples_and_is_saved_by_its_settings():
    metric = TopAccuracy(1, name="top1")
    scores = np.array([[2.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
    metric.update_state(np.array([0, 1, 1]), scores, sample_weight=np.array([1.0, 2.0, 1.0]))
    assert float(metric.result()) == 0.5  # the tie goes to class 0
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert (again.k, again.name) == (1, "top1")


def test_results_are_named_and_those_of_compiled_metrics_taken_apart():
    class Two(keras.metrics.Metric):
        def result(self):
            return {"one": 1.0, "two": 2.0}

    mean = keras.metrics.Mean("mean")
    mean.update_state([1.0, 3.0])
    entries = results([mean, Two()])
    assert {name: float(value) for name, value in entries.items()} == {
        "mean": 2,
        "one": 1,
        "two": 2,
    }
