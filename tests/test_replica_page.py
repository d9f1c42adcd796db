"""The table in docs/how-to/devices.md is that of docs/replicas.json."""

import importlib.util
import json
from pathlib import Path

from kd_keras import methods

ROOT = Path(__file__).parent.parent


def load():
    path = ROOT / "scripts" / "replica_page.py"
    spec = importlib.util.spec_from_file_location("replica_page", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_in_the_docs_is_that_of_the_results():
    page = load()
    document = json.loads((ROOT / "docs" / "replicas.json").read_text())
    results = document["methods"]
    text = page.PAGE.read_text()
    assert page.with_table(text, results, document["teachers"]) == text
    assert set(results) <= set(methods.names())
    assert all(value <= 1e-6 for row in results.values() for value in row["eager"].values())


def test_a_table_has_a_line_for_each_method_and_a_column_for_each_place():
    results = {"kd": {"eager": {"2 replicas": 1.2e-8}}, "crd": {"plain": {"4 replicas": 3e-7}}}
    assert load().table(results, {"kd": "cached", "crd": "runs"}).splitlines() == [
        "| method | teacher | eager, 2 replicas | plain, 4 replicas |",
        "| --- | --- | ---: | ---: |",
        "| `kd` | cached | 1e-08 |  |",
        "| `crd` | runs |  | 3e-07 |",
    ]
