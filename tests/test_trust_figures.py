"""The figures of README.md, SECURITY.md and docs/how-to/continue.md are those of the JSON files."""

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent


def read(name):
    return json.loads((ROOT / "docs" / name).read_text())


def test_the_kills_of_interrupted_trainings():
    recipes = read("torture_resume.json")["recipes"]
    page = (ROOT / "docs" / "how-to" / "continue.md").read_text()
    for name, outcome in recipes.items():
        with_checkpoint = sum("no checkpoint" not in kill["where"] for kill in outcome["moments"])
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}`: "))
        assert row.endswith(f"| {outcome['kills']} | {with_checkpoint} | none |")
        assert not outcome["differences"]
    kills = sum(outcome["kills"] for outcome in recipes.values())
    assert f"{kills} kills of {len(recipes)} recipes" in (ROOT / "README.md").read_text()


def test_the_growth_with_the_number_of_classes():
    after = read("growth.json")["after"]
    made, reading = (round(after[f"{way}_images_per_second"], -2) for way in ("made", "read"))
    figures = (
        f"{after['classes']:,} classes",
        f"split in {after['holdout_seconds']:.2f} s",
        f"made at {made:,.0f} images a second with {after['making_megabytes']:.0f} MB",
        f"read at {round(reading, -4):,.0f}",
    )
    page = (ROOT / "README.md").read_text()
    assert all(figure in page for figure in figures)


def test_the_random_inputs():
    document = read("fuzz.json")
    page = (ROOT / "SECURITY.md").read_text()
    for name, counts in document["kinds"].items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}`: "))
        ends = " | ".join(f"{counts[end]:,}" for end in ("cases", "success", "message", "fault"))
        assert row.endswith(f"| {ends} |"), name
    cases = f"{document['total']['cases']:,} random inputs"
    assert cases in page
    assert cases in (ROOT / "README.md").read_text()
    assert sum(document["runs"].values()) == 6
