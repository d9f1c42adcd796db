"""Sentences on terms of the loss that do not train the student, and none where all is well."""

import types

from kd_keras import methods as kd_methods
from kd_keras.distill.callbacks import gradient_balance


def test_terms_of_like_size_are_not_mentioned():
    measured = [{"ce": 2.0, "kd": 0.1}, {"ce": 0.5, "kd": 0.2}]
    assert gradient_balance.sentences(measured) == []
    assert gradient_balance.sentences([]) == []


def test_a_term_without_a_gradient_is_named_with_what_to_check():
    (line,) = gradient_balance.sentences([{"ce": 1.0, "fitnet": 0.0}] * 2)
    assert line.startswith("fitnet has no gradient: the student learns nothing from it. Check that")
    (line,) = gradient_balance.sentences([{"ce": 0.0, "kd": 1.0}])
    assert line.startswith("the cross-entropy with the labels has no gradient")
    # In a first stage only some terms are minimised; one measurement with a gradient is enough.
    assert gradient_balance.sentences([{"ce": 0.0, "ft": 0.0}, {"ce": 1.0, "ft": 0.5}]) == []


def test_a_term_that_is_meant_to_have_none_is_not_mentioned():
    assert gradient_balance.sentences([{"ce": 0.0, "kd": 1.0}], exempt_terms={"ce"}) == []


def test_a_term_a_hundred_times_another_is_named_by_medians():
    usual, end = {"ce": 0.02, "kd": 1.0, "at": 30.0}, {"ce": 1e-6, "kd": 1.0, "at": 1.0}
    (line,) = gradient_balance.sentences([usual, usual, end])  # the last step decides nothing
    assert line.startswith(
        "the gradient of at is 1,500 times that of ce (medians 30 and 0.02), so that ce has almost "
        "no effect. Raise the weight of ce (ce_weight, --ce-weight) or lower "
        "that of at (weight=…, --method at:weight=…)"
    )
    almost = {"ce": 0.0101, "kd": 1.0}
    assert gradient_balance.sentences([almost, almost, end]) == []


def test_weights_of_0_and_first_stages_switch_a_term_off():
    method = types.SimpleNamespace
    methods = [
        method(name="kd", weight=1.0),
        method(name="at", weight=0.0),
        method(name="ab", weight=1.0, main_stage_weight=0.0),
    ]
    distiller = types.SimpleNamespace(methods=methods, ce_weight=0.0)
    assert gradient_balance.switched_off(distiller, measurements=2) == {"ce", "at", "ab"}
    distiller = types.SimpleNamespace(methods=methods[:1], ce_weight=0.1)
    assert gradient_balance.switched_off(distiller, measurements=2) == set()


def test_a_loss_that_ends_at_zero_is_not_missed_in_one_measurement():
    fading, constant = (kd_methods.get("wkd_feature", decay_start=start) for start in (0.5, 1))
    for method, off in ((fading, {"wkd_feature"}), (constant, set())):
        distiller = types.SimpleNamespace(methods=[method], ce_weight=1.0)
        assert gradient_balance.switched_off(distiller, measurements=1) == off
        assert gradient_balance.switched_off(distiller, measurements=2) == set()


def test_labels_of_which_some_are_unknown_may_be_missing_in_a_batch():
    distiller = types.SimpleNamespace(methods=[], ce_weight=1.0, ignore_class=-1)
    assert gradient_balance.switched_off(distiller, measurements=2) == {"ce"}
