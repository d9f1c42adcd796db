"""The programs that a SavedModel is written for, each as a function that a test can ask.

Each takes the SavedModel's folder and a batch, and gives {"logits": …, "probabilities": …}, as the
program itself computes them; none uses this package. Programs that are not required by it are
skipped with a reason where they are absent.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

INPUTS = {"serving_default": "images", "serve_bytes": "image_bytes"}


def saved_model_cli(folder, batch, signature="serving_default", name=None):
    """TensorFlow's command, in a process of its own; `name` is the input's, by default ours."""
    program = Path(sys.executable).with_name("saved_model_cli")
    with tempfile.TemporaryDirectory() as scratch:
        np.save(f"{scratch}/batch.npy", batch, allow_pickle=True)
        options = {
            "--dir": folder,
            "--tag_set": "serve",
            "--signature_def": signature,
            "--inputs": f"{name or INPUTS[signature]}={scratch}/batch.npy",
            "--outdir": f"{scratch}/outputs",
        }
        words = [str(word) for option in options.items() for word in option]
        result = subprocess.run([program, "run", *words], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return {file.stem: np.load(file) for file in Path(scratch, "outputs").glob("*.npy")}


def shown(folder):
    """What TensorFlow's command `show` says of a SavedModel."""
    program = Path(sys.executable).with_name("saved_model_cli")
    words = [program, "show", "--dir", folder, "--all"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def session(folder, batch, signature="serving_default"):
    """A session that restores the variables, as TensorFlow Serving does."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        tensors = loaded.signature_def[signature]
        outputs = {name: tensor.name for name, tensor in tensors.outputs.items()}
        return session.run(outputs, {tensors.inputs[INPUTS[signature]].name: batch})


def loader(folder, batch, signature="serving_default"):
    """Python's own loader."""
    serve = tf.saved_model.load(str(folder)).signatures[signature]
    served = serve(**{INPUTS[signature]: tf.constant(batch)})
    return {name: tensor.numpy() for name, tensor in served.items()}


def litert(folder, *batches):
    """LiteRT's interpreter, on what TensorFlow's converter makes of the SavedModel; one a batch."""
    litert = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="the extra 'litert' is not installed"
    )
    model = tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert()
    run = litert.Interpreter(model_content=model).get_signature_runner("serving_default")
    return [run(images=batch) for batch in batches]


def onnx(folder, *batches):
    """ONNX Runtime, on what tf2onnx makes of the SavedModel; one a batch."""
    runtime = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    convert = pytest.importorskip("tf2onnx.convert", reason="the extra 'onnx' is not installed")
    with tempfile.TemporaryDirectory() as scratch:
        file = f"{scratch}/model.onnx"
        words = ["--saved-model", str(folder), "--tag", "serve", "--output", file]
        words += ["--signature_def", "serving_default"]
        with mock.patch.object(sys, "argv", ["tf2onnx", *words]):
            convert.main()
        run = runtime.InferenceSession(file)
    names = [output.name for output in run.get_outputs()]
    outputs = [run.run(names, {"images": batch}) for batch in batches]
    return [dict(zip(names, arrays, strict=True)) for arrays in outputs]


def files(images):
    """Image files, (B,) bytes, of uint8 (B, H, W, C) images."""
    return np.array([tf.io.encode_png(image).numpy() for image in images], object)


def litert_file(path, images):
    """LiteRT's interpreter on a `.tflite` file; 8-bit outputs are turned to float32."""
    litert = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="the extra 'litert' is not installed"
    )
    interpreter = litert.Interpreter(model_path=str(path))
    run = interpreter.get_signature_runner("serving_default")
    details = run.get_output_details()

    def floats(name, array):
        scale, zero_point = details[name]["quantization"]
        return (array.astype("float32") - zero_point) * scale if scale else array

    return {name: floats(name, array) for name, array in run(images=images).items()}


def onnx_file(path, images):
    """ONNX Runtime on an `.onnx` file."""
    runtime = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    run = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in run.get_outputs()]
    return dict(zip(names, run.run(names, {"images": images}), strict=True))


def check(folder, images, expected, *, command=False, multi_label=False):
    """Asserts that each consumer gives the expected logits and their softmax.

    With `multi_label`, their sigmoids, which must be right to 1e-5.

    For the whole batch and for its first image alone, as pixels and, where the program has the
    operations, as files. The command, which takes a process each time, is asked where `command`.
    """
    shifted = np.exp(expected - expected.max(axis=-1, keepdims=True))
    softmax, sigmoids = shifted / shifted.sum(axis=-1, keepdims=True), 1 / (1 + np.exp(-expected))
    right = {"logits": expected, "probabilities": sigmoids if multi_label else softmax}
    tolerances = {"logits": 1e-4, "probabilities": 1e-5 if multi_label else 1e-4}

    def compare(consumer, served, count):
        assert set(served) == set(right), consumer
        for name, values in right.items():
            limit = tolerances[name] * (1 + np.abs(values[:count]))
            excess = np.abs(served[name] - values[:count]) - limit
            assert np.all(excess <= 0), f"{consumer}: {name}, {excess.max()} above the limit"

    counts = (len(images), 1)
    for count in counts:
        batch = images[:count]
        for consumer in (loader, session):
            compare(consumer.__name__, consumer(folder, batch), count)
            compare(consumer.__name__, consumer(folder, files(batch), "serve_bytes"), count)
    if command:
        compare("saved_model_cli", saved_model_cli(folder, images), len(images))
        compare("saved_model_cli", saved_model_cli(folder, files(images[:1]), "serve_bytes"), 1)
    for consumer in (litert, onnx):
        served = consumer(folder, *(images[:count] for count in counts))
        for outputs, count in zip(served, counts, strict=True):
            compare(consumer.__name__, outputs, count)
