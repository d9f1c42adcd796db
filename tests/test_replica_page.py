"""The tables in docs/how-to/devices.md are those of docs/replicas.json."""

import importlib.util
import json
from pathlib import Path

import numpy as np

from kd_keras import methods

ROOT = Path(__file__).parent.parent


def load(name="replica_page"):
    path = ROOT / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_in_the_docs_are_those_of_the_results(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    page, script = load(), load("replica_table")
    document = json.loads((ROOT / "docs" / "replicas.json").read_text())
    results = document["methods"]
    text = page.PAGE.read_text()
    assert page.with_tables(text, results, document["teachers"]) == text
    assert set(results) <= set(methods.names())
    above = {
        (method, setting)
        for method, row in results.items()
        for setting, cell in row.items()
        for place, value in cell.items()
        if setting != "bfloat16" and place in script.PLACES and not value <= script.LIMIT
    }
    assert not above


FULL = {"2 replicas": 1.2e-8, "4 replicas": 3e-7, "2 processes": 2e-8}
CONTROL = {"learning rate": 1e-3, "1 device, moved": 0.2, "1 device, changed": 5e-7}


def test_a_table_has_a_line_for_each_method_and_the_largest_difference_of_each_setting():
    results = {
        "kd": {"plain": {**CONTROL, **FULL}, "eager": {"2 replicas": 4e-8}},
        "crd": {"plain": {**CONTROL, "2 replicas": 6e-7}},  # not trained in the other places yet
    }
    assert load().table(results, {"kd": "cached", "crd": "runs"}).splitlines() == [
        "| method | teacher | plain, learning rate | plain, changed | plain, largest difference "
        "| eager, largest difference |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
        "| `kd` | cached | 1e-03 | 5e-07 | 3e-07 | 4e-08 |",
        "| `crd` | runs | 1e-03 | 5e-07 | 6e-07 |  |",
    ]


def test_the_overview_has_the_largest_difference_of_all_methods_in_each_place():
    results = {
        "at": {"eager": {"2 replicas": 4e-8}},
        "crd": {"plain": {**CONTROL, "2 replicas": 2e-8}},
        "kd": {"plain": {**CONTROL, **FULL}},
        "sp": {"plain": {**CONTROL, **FULL, "1 device, moved": 0.03, "2 processes": 6e-8}},
    }
    assert load().overview(results).splitlines() == [
        "| setting | moved, least | changed | 2 replicas | 4 replicas | 2 processes |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| `eager` |  |  | 4e-08 (1) |  |  |",
        "| `plain` | 3e-02 | 5e-07 | 2e-08 (3) | 3e-07 (2) | 6e-08 (2) |",
    ]


def test_the_tables_replace_what_is_between_the_marks():
    page = load()
    text = page.with_tables(
        f"a\n{page.BEGIN}old\n{page.END}z\n", {"kd": {"plain": {**FULL}}}, {"kd": "cached"}
    )
    assert "| `plain` |  |  | 1e-08 (1) |" in text
    assert "| `kd` | cached | 3e-07 |" in text
    assert "old" not in text
    assert text.startswith("a\n")
    assert text.endswith("z\n")


def test_a_later_call_keeps_the_cells_that_it_did_not_train(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    table = load("replica_table")
    earlier = {
        "kd": {"eager": {"2 replicas": 1.0}, "cached": {"2 replicas": 2.0}},
        "sp": {"eager": {}},
    }
    later = {
        "kd": {"cached": {"2 replicas": 3.0}, "plain": {"2 replicas": 4.0}},
        "at": {"plain": {}},
    }
    results = table._merged(earlier, later)
    assert list(results) == ["at", "kd", "sp"]
    assert list(results["kd"]) == ["plain", "cached", "eager"]
    assert results["kd"]["cached"] == {"2 replicas": 3.0}


def test_a_difference_is_relative_to_the_largest_weight_and_is_not_hidden_by_nan():
    training = load("replica_training")
    one = [np.array([[4.0, 0.0]]), np.array([]), np.array(2.0)]
    other = [np.array([[4.0, 1.0]]), np.array([]), np.array(2.5)]
    assert training.difference(one, other) == 0.25
    nan = [np.array([[np.nan, 0.0]]), *other[1:]]
    assert not training.difference(one, nan) <= training.LIMIT
    assert not training.difference(nan, one) <= training.LIMIT


def test_the_learning_rate_is_the_largest_that_does_not_amplify_a_change(monkeypatch):
    training = load("replica_training")

    class Amplifying:
        """Trains one weight to 1; a changed start moves it by what the learning rate says."""

        def __init__(self, name, setting, strategy, learning_rate):
            self.felt = {"fitnet": [1e-1, 3e-7, 1e-7], "ofd": [2e-6, 1.3e-6, 1.2e-6]}[name]

        def restart(self, learning_rate, *, changed=False):
            index = training.LEARNING_RATES.index(learning_rate)
            self.weight = 1.0 + (self.felt[index] if changed else 0.0)

        def weights(self):
            return [np.array([self.weight])]

        floats = weights
        weight = 0.5

        def moved(self, before, after):
            return after[0][0] - before[0][0]

    monkeypatch.setattr(training, "Training", Amplifying)
    rates = training.LEARNING_RATES[:3]
    fitnet = training.reference("fitnet", "plain", rates)
    assert fitnet.learning_rate == 1e-3
    assert fitnet.moved == 0.5
    np.testing.assert_allclose(fitnet.changed[0] - fitnet.after[0], 3e-7, rtol=1e-6)
    assert training.reference("ofd", "plain", rates).learning_rate == 1e-3  # at most a fifth worse


def test_every_method_is_compared_in_every_place():
    results = json.loads((ROOT / "docs" / "replicas.json").read_text())["methods"]
    assert set(results) == set(methods.names())
    places = {"2 replicas", "4 replicas", "2 processes"}
    lacking = {
        (name, setting): places - row.get(setting, {}).keys()
        for name, row in results.items()
        for setting in ("plain", "uneven", "cached", "bfloat16")
    }
    assert not {cell: missing for cell, missing in lacking.items() if missing}


def test_in_bfloat16_replicas_end_about_as_far_away_as_a_change_of_rounding():
    results = json.loads((ROOT / "docs" / "replicas.json").read_text())["methods"]
    places = ("2 replicas", "4 replicas", "2 processes")
    cells = {name: row["bfloat16"] for name, row in results.items()}
    ratios = {
        name: max(cell[place] for place in places) / cell["1 device, changed"]
        for name, cell in cells.items()
    }
    further = {name: f"{ratio:.1f}" for name, ratio in ratios.items() if ratio > 2.1}
    assert further == {"simkd": "5.5", "wkd": "3.3"}  # named on the page
