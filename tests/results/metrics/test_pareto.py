from kd_keras.results.metrics import pareto


def test_a_model_that_another_beats_in_both_is_not_on_the_front():
    accuracies, costs = [0.9, 0.8, 0.7, 0.95], [1.0, 0.5, 0.6, 9.0]
    assert pareto.front(accuracies, costs) == [True, True, False, True]


def test_equal_models_are_on_the_front_together_and_equal_cost_needs_more_accuracy():
    assert pareto.front([0.9, 0.9, 0.8], [1.0, 1.0, 1.0]) == [True, True, False]
    assert pareto.front([0.9, 0.9], [1.0, 2.0]) == [True, False]


def test_a_model_of_unknown_cost_is_never_on_the_front_and_beats_none():
    assert pareto.front([0.9, 0.8], [None, 1.0]) == [False, True]
    assert pareto.front([], []) == []
