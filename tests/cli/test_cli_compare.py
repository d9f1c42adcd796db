import json
import shutil

from click.testing import CliRunner

from kd_keras.cli import kdk


def test_json_and_quiet_lines_of_a_comparison(tiny_run, tmp_path):
    # A copy with another seed, edited by hand.
    other = shutil.copytree(
        tiny_run, tmp_path / "other", ignore=shutil.ignore_patterns("logs", "checksums.json")
    )
    recipe = json.loads((other / "recipe.json").read_text())
    (other / "recipe.json").write_text(json.dumps(recipe | {"method": ["dist"]}))
    command = ["compare", str(tiny_run), str(other), "--html", str(tmp_path / "page.html")]
    result = CliRunner().invoke(kdk, [*command, "--json"])
    document = json.loads(result.stdout)
    assert [group["name"] for group in document["groups"]][:2] == ["kd", "dist"]
    assert "no measurable difference between dist and kd" in result.stderr
    assert (tmp_path / "page.html").is_file()


def test_one_run_is_refused(tiny_run):
    result = CliRunner().invoke(kdk, ["compare", str(tiny_run)])
    assert result.exit_code == 2
    assert "expected two runs or more. Give another." in result.stderr
