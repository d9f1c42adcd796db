"""What a random.Random makes of words, images, files and archives for tests/fuzz_cases.py."""

import io
import json
import math
import os
import random
import zipfile
from pathlib import Path
from typing import Any

from PIL import Image

Shape = tuple[int, int, int]
IMAGE: Shape = (8, 8, 3)
WORDS = (
    *(
        "",
        " ",
        "0",
        "-1",
        "1",
        "3",
        "1e308",
        "-1e308",
        "1e-308",
        "nan",
        "inf",
        "-inf",
        "1e9",
        "0.5",
    ),
    *(
        "9" * 20,
        "9" * 5000,
        "1_000",
        "0x10",
        "٣",
        "true",
        "none",
        "x",
        "é",
        "a\nb",
        "\x1b[31m",
        "[]",
    ),
    *("{}", "/", "/dev/null", "/dev/zero", "..", "~nobody/x", "a" * 300, "kd", "dkd", "at", "crd"),
    *(
        "resnet8",
        "resnet8:width=1e9",
        "resnet8:name=x",
        "resnet8:input_shape=1",
        "wrn_16_1:width=nan",
    ),
    *("kd:temperature=1e308", "kd:weight=-1", "kd:weight=nan", "kd,dkd", "kd:", ":", "=", "app:x"),
    *("app:VGG16:weights=none", "cache:", "cache:/", "cache:x", "folder:", "folder:x", "tfds:"),
    *(
        "cpu:0",
        "cpu:2",
        "cpu:65",
        "gpu:1",
        "x.keras",
        "x.onnx",
        "x.toml",
        "digits",
        "self",
        "os",
        ".",
    ),
)


def spoilt(rng: random.Random, content: bytes, *, at_least: int = 1) -> bytes:
    """The bytes cut short, with some changed, repeated or put in."""
    data = bytearray(content)
    for _ in range(rng.randint(at_least, 4)):
        place = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            del data[place:]
        elif kind == 1 and place < len(data):
            data[place] = rng.randrange(256)
        elif kind == 2:
            data[place:place] = rng.randbytes(rng.randint(1, 9))
        else:
            data[place:place] = data[: rng.randint(0, 40)]
    return bytes(data)


def spoil_a_file(rng: random.Random, folder: Path, *, but: tuple[str, ...] = ()) -> None:
    """Changes one file; half of the time its size and times stay, as a bad program leaves them."""
    paths = [path for path in sorted(folder.iterdir()) if not path.name.endswith(but or ("\0",))]
    path = rng.choice(paths)
    content, times = path.read_bytes(), path.stat()
    if rng.random() < 0.5 and content:
        changed = bytearray(content)
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    elif rng.random() < 0.2:
        path.unlink()
    else:
        path.write_bytes(rng.choice([b"", spoilt(rng, content)]))


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 100, 50)).save(file, "PNG")
    return file.getvalue()


def image(rng: random.Random) -> bytes:
    file = io.BytesIO()
    mode = rng.choice(["RGB", "L", "RGBA", "P", "1", "I;16"])
    kind = rng.choice(["JPEG", "PNG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
    image = Image.new("RGB", (rng.randint(1, 40), rng.randint(1, 40)), (200, 100, 50))
    if kind in ("PNG", "TIFF"):
        image = image.convert("L").convert(mode) if mode != "I;16" else image.convert("L")
    image.save(file, kind)
    content = file.getvalue()
    if rng.random() < 0.3:
        return content
    if kind == "PNG" and rng.random() < 0.3:  # the header says that it is huge
        content = content[:16] + rng.choice([b"\xff" * 8, b"\x00\x01\x00\x00" * 2]) + content[24:]
    return spoilt(rng, content, at_least=0)


def put(rng: random.Random, path: Path) -> None:
    kind = rng.randrange(8)
    if os.path.lexists(path):  # writing to a pipe waits for ever
        return
    try:
        if kind == 0:
            os.mkfifo(path)
        elif kind == 1:
            path.symlink_to(rng.choice([path.name, "nowhere", "/dev/zero", "..", "/"]))
        elif kind == 2:
            path.mkdir()
        else:
            path.write_bytes(image(rng) if kind == 3 else png())
    except OSError:  # the name is too long, or its folder is a file
        pass


def with_member(rng: random.Random, content: bytes) -> bytes:
    """A .keras file of which a member is broken, left out or replaced."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(result, "w") as new:
        victim = rng.choice(old.namelist())
        for name in old.namelist():
            data = old.read(name)
            if name == victim:
                if rng.random() < 0.2:
                    continue
                data = rng.choice([b"", b"{}", b"null", b"[" * 50_000, spoilt(rng, data)])
            new.writestr(name, data)
    return result.getvalue()


def value(rng: random.Random) -> Any:
    word = rng.choice(WORDS)
    numbers = [0, -1, 10**400, 1e308, float("nan"), float("inf"), True, None, 3]
    return rng.choice([word, word, rng.choice(numbers), [word], [word, rng.choice(WORDS)], {}])


def toml(fields: dict[str, Any]) -> str:
    return "\n".join(f"{name} = {json.dumps(value, default=str)}" for name, value in fields.items())


_KEPT: dict[Any, Any] = {}


def reader(kind: Any) -> Any:
    if kind not in _KEPT:
        _KEPT[kind] = kind((8, 8, 3), resize="crop")
    return _KEPT[kind]


def model(suffix: str, shape: Shape = IMAGE, classes: int = 3) -> bytes:
    """The bytes of a small classifier's file."""
    if (suffix, classes) not in _KEPT:
        import tempfile

        with tempfile.TemporaryDirectory() as scratch:
            _classifier(shape, classes).save(f"{scratch}/model{suffix}")
            _KEPT[suffix, classes] = Path(scratch, f"model{suffix}").read_bytes()
    content: bytes = _KEPT[suffix, classes]
    return content


def _classifier(shape: Shape, classes: int) -> Any:
    import keras

    inputs = keras.Input(shape)
    x = keras.layers.Conv2D(2, 3)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


def saved_model(shape: Shape = IMAGE, classes: int = 3) -> dict[str, bytes]:
    """The files of a small classifier's SavedModel, by their paths."""
    if ("saved_model", classes) not in _KEPT:
        import tempfile

        with tempfile.TemporaryDirectory() as scratch:
            model = _classifier(shape, classes)
            model.export(f"{scratch}/model", format="tf_saved_model", verbose=False)
            root = Path(scratch, "model")
            _KEPT["saved_model", classes] = {
                path.relative_to(root).as_posix(): path.read_bytes()
                for path in sorted(root.rglob("*"))
                if path.is_file()
            }
    content: dict[str, bytes] = _KEPT["saved_model", classes]
    return content


def onnx(shape: Shape = IMAGE, classes: int = 3) -> dict[str, bytes]:
    """A small classifier as an ONNX file, `teacher.onnx`, and the file of its weights."""
    if ("onnx", classes) not in _KEPT:
        import numpy as np
        from onnx import TensorProto, helper, numpy_helper

        kernel = np.random.default_rng(0).normal(size=(math.prod(shape), classes))
        weights = numpy_helper.from_array(kernel.astype(np.float32), "kernel")
        content = weights.raw_data
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "weights.bin"), ("length", str(len(content)))):
            entry = weights.external_data.add()
            entry.key, entry.value = key, value
        floats = TensorProto.FLOAT
        graph = helper.make_graph(
            [
                helper.make_node("Flatten", ["images"], ["flat"]),
                helper.make_node("MatMul", ["flat", "kernel"], ["logits"]),
            ],
            "teacher",
            [helper.make_tensor_value_info("images", floats, ["batch", *shape])],
            [helper.make_tensor_value_info("logits", floats, ["batch", classes])],
            [weights],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        _KEPT["onnx", classes] = {"teacher.onnx": model.SerializeToString(), "weights.bin": content}
    files: dict[str, bytes] = _KEPT["onnx", classes]
    return files
