"""The tables in docs/how-to/devices.md are those of docs/replicas.json."""

import importlib.util
import json
from pathlib import Path

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
        if setting != "bfloat16" and place != script.CHANGED and value > script.LIMIT
    }
    assert above == {("fitnet", "plain"), ("ft", "plain")}  # the page says what is known of them


def test_a_table_has_a_line_for_each_method_and_a_column_for_each_place():
    results = {"kd": {"eager": {"2 replicas": 1.2e-8}}, "crd": {"plain": {"4 replicas": 3e-7}}}
    assert load().table(results, {"kd": "cached", "crd": "runs"}).splitlines() == [
        "| method | teacher | eager, 2 replicas | plain, 4 replicas |",
        "| --- | --- | ---: | ---: |",
        "| `kd` | cached | 1e-08 |  |",
        "| `crd` | runs |  | 3e-07 |",
    ]


def test_full_and_quick_trainings_have_a_table_each():
    page = load()
    results = {
        "kd": {"eager": {"2 replicas": 1e-8}, "plain": {"2 processes": 2e-7}},
        "at": {"eager": {"2 replicas": 3e-8}},
    }
    text = page.with_tables(
        f"a\n{page.BEGIN}old\n{page.END}z\n", results, dict.fromkeys(results, "cached")
    )
    full, quick = text.split("Quick, ")
    assert "| `kd` | cached | 2e-07 |" in full
    assert "`at`" not in full
    assert "| `kd` | cached | 1e-08 |" in quick
    assert "| `at` | cached | 3e-08 |" in quick
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
