"""The PyTorch example of docs/teacher_cache.md, run as it stands there."""

import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from kd_keras import data
from kd_keras.cli import kdk
from kd_keras.data.augmentation import augment
from kd_keras.teacher_cache.reader import Cache

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_server", "no_report")]
PAGE = Path(__file__).parents[2] / "docs" / "teacher_cache.md"
WNIDS, EACH = ("n01443537", "n02123045", "n02124075"), 8


def blocks(language):
    """The page's blocks of a language behind the heading about other frameworks."""
    text = PAGE.read_text(encoding="utf-8").partition("## A teacher of another framework")[2]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def place(tmp_path, monkeypatch, no_timing):
    """A home with Tiny ImageNet's layout of a few images in ~/data, and teacher.pt where we are."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "stores"))
    monkeypatch.chdir(tmp_path)
    tiny_imagenet(tmp_path / "data" / "tiny-imagenet-200")
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, stride=4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2)
    )
    net = torch.nn.Sequential(net, torch.nn.Flatten(), torch.nn.Linear(16, len(WNIDS)))
    torch.jit.trace(net.eval(), torch.zeros(2, 3, 64, 64)).save("teacher.pt")
    return net


def tiny_imagenet(folder):
    rng = np.random.default_rng(0)

    def write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)

    for wnid in WNIDS:
        names = [f"{wnid}_{number}.JPEG" for number in range(EACH)]
        for name in names:
            write(folder / "train" / wnid / "images" / name)
        boxes = "".join(f"{name}\t0\t0\t63\t63\n" for name in names)
        (folder / "train" / wnid / f"{wnid}_boxes.txt").write_text(boxes)
        write(folder / "val" / "images" / f"val_{WNIDS.index(wnid)}.JPEG")
    write(folder / "test" / "images" / "test_0.JPEG")
    labels = [f"val_{place}.JPEG\t{wnid}\t0\t0\t63\t63\n" for place, wnid in enumerate(WNIDS)]
    (folder / "val" / "val_annotations.txt").write_text("".join(labels))
    (folder / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    (folder / "words.txt").write_text("".join(f"{wnid}\tname of {wnid}\n" for wnid in WNIDS))


def test_the_example_writes_a_cache_and_a_student_learns_from_it(place, tmp_path):
    (program,) = blocks("python")
    exec(compile(program, str(PAGE), "exec"), {})

    cache, loaded = Cache(Path("caches/my_net")), data.load("tiny_imagenet", data_dir="~/data")
    ids = loaded.train.ids
    assert cache.views == 5
    assert len(ids) == len(WNIDS) * EACH
    for view in (0, 4):
        crops = augment(
            loaded.train.images, ids, ids, view_seed=0, view=view, policy=loaded.augment
        )
        with torch.inference_mode():
            expected = place(torch.from_numpy(crops.transpose(0, 3, 1, 2) / np.float32(255)))
        np.testing.assert_allclose(cache(ids, view)["logits"], expected, rtol=2e-3, atol=2e-3)

    (command,) = blocks("bash")
    program, *arguments = shlex.split(command.replace("~", os.environ["HOME"]))
    assert program == "kdk"
    small = ["--batch-size", "8", "--student", "plain_cnn4:width=0.5", "--epochs", "1"]
    result = CliRunner().invoke(
        kdk, [*arguments, *small, "--allow-weak-teacher", "--run", "run", "--export-dir", "out"]
    )
    assert result.exit_code == 0, result.output
    assert "teacher: the cache caches/my_net, 5 views" in result.output
    assert "student distilled" in result.output


def test_the_example_run_again_changes_no_file(place):
    (program,) = blocks("python")
    exec(compile(program, str(PAGE), "exec"), {})
    before = {path: path.stat().st_mtime_ns for path in Path("caches/my_net").iterdir()}
    exec(compile(program, str(PAGE), "exec"), {})
    assert {path: path.stat().st_mtime_ns for path in Path("caches/my_net").iterdir()} == before
