import json
import os

import pytest
from click.testing import CliRunner

from kd_keras import models
from kd_keras.cli import cache, kdk
from kd_keras.job.recipe.old_spelling import OldSpellingWarning


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))
    return lambda *args: CliRunner().invoke(kdk, ["cache", *args])


def test_help_explains_views_and_shards(invoke):
    help_text = invoke("--help")
    assert help_text.exit_code == 0
    for word in ("--views", "--shard", "--verify", "--top-k", "--teacher", "onnx"):
        assert word in help_text.output


def test_a_cache_is_made_and_verified(invoke, tmp_path):
    path = tmp_path / "teacher.keras"
    models.get("resnet8", num_classes=10, input_shape=(8, 8, 1), width=0.25).save(path)
    options = ("--recipe", "quickstart", "--teacher", str(path), "--views", "1")
    help_text = invoke(*options, "--out", str(tmp_path / "mine"), "--verify")
    assert help_text.exit_code == 0, help_text.output
    assert "1 view of 1,438 images, 0.029 MB" in help_text.output
    assert "verified: a sample computed again" in help_text.output
    assert (tmp_path / "mine" / "view0000.part0000.logits.npy").is_file()
    again = invoke(*options, "--out", str(tmp_path / "mine"))
    assert "complete, every part's hash checked" in again.output
    assert "caching" not in again.output
    facts = json.loads(invoke(*options, "--out", str(tmp_path / "mine"), "--json").stdout)
    assert facts["folder"] == str(tmp_path / "mine")
    assert (facts["complete"], facts["views"], facts["examples"]) == (True, 1, 1438)
    assert facts["outputs"] == {"logits": [10]}


def test_taps_are_given_again_for_each_name():
    assert cache._names(("pooled", "stage2")) == ("pooled", "stage2")
    with pytest.warns(
        OldSpellingWarning, match=r"--taps is a\+b\. Give --taps again for each name"
    ):
        assert cache._names(("a+b",)) == ("a", "b")


def test_a_shard_that_is_none_is_refused(invoke):
    for shard in ("2/2", "one/2", "1"):
        help_text = invoke("--recipe", "quickstart", "--shard", shard)
        assert help_text.exit_code == 2
        assert f"shard is '{shard}'; expected i/n" in help_text.output


def test_the_cache_folder_is_listed_and_pruned_after_asking(invoke, tmp_path):
    leftover = tmp_path / "cache" / ".old.partial"
    leftover.mkdir(parents=True)
    (leftover / "half").write_text("half")
    os.utime(leftover / "half", (0, 0))
    listed = json.loads(invoke("--list", "--json").stdout)
    assert [(e["kind"], e["state"]) for e in listed["entries"]] == [("left over", "unfinished")]
    refused = invoke("--prune")
    assert refused.exit_code == 2
    assert "expected a confirmation. Give --yes" in refused.stderr
    assert leftover.is_dir()
    assert "removed 1 of 1" in invoke("--prune", "--yes").stdout
    assert not leftover.exists()
    assert "nothing to remove in" in invoke("--prune", "--yes", "--older-than", "1").stdout


def test_options_of_prune_alone_are_refused(invoke):
    for option in (["--yes"], ["--older-than", "3"]):
        assert "expected them together. Give --prune as well." in invoke(*option).stderr
