import importlib
import linecache
import sys

import keras

from kd_keras.teacher_cache import fingerprint


def test_a_fingerprint_follows_weights_and_layers_and_no_names(example, tmp_path):
    path = tmp_path / "teacher.keras"
    example.teacher.save(path)
    first = keras.models.load_model(path)
    assert fingerprint.fingerprint(first) == fingerprint.fingerprint(example.teacher)
    clone = keras.models.clone_model(example.teacher)
    clone.set_weights(example.teacher.get_weights())
    assert fingerprint.fingerprint(clone) == fingerprint.fingerprint(example.teacher)
    weights = first.get_weights()
    weights[0] = weights[0] + 1e-3
    first.set_weights(weights)
    assert fingerprint.fingerprint(first) != fingerprint.fingerprint(example.teacher)


def test_what_stands_before_a_model_counts(example):
    inputs = keras.Input((8, 8, 3))
    behind = [
        keras.Model(inputs, example.teacher(keras.layers.Rescaling(scale)(inputs)))
        for scale in (0.5, 0.5, 0.25)
    ]
    one, same, other = map(fingerprint.fingerprint, behind)
    assert one == same != other


def test_a_teacher_of_operations_has_one_fingerprint_however_often_it_is_made(example):
    from kd_keras.models import ensemble

    twice = [
        ensemble.mean_of_logits([example.teacher, example.teacher], (2.0, 1.0)) for _ in range(2)
    ]
    assert fingerprint.fingerprint(twice[0]) == fingerprint.fingerprint(twice[1])
    other = ensemble.mean_of_logits([example.teacher, example.teacher], (1.0, 1.0))
    assert fingerprint.fingerprint(other) != fingerprint.fingerprint(twice[0])


def test_the_code_of_a_function_and_of_a_base_class_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def fingerprint_with(of_class, of_function):
        """Of a model with layers of the user's own module, which has these factors in its code."""
        (tmp_path / "own_layers.py").write_text(
            "import keras\n\n\nclass Base(keras.layers.Layer):\n    def call(self, x):\n"
            f"        return {of_class} * x\n\n\nclass Own(Base):\n    pass\n\n\n"
            f"def scaled(x):\n    return {of_function} * x\n"
        )
        sys.modules.pop("own_layers", None)
        linecache.clearcache()
        module = importlib.import_module("own_layers")
        own = [module.Own(name="own"), keras.layers.Activation(module.scaled, name="scaled")]
        return fingerprint.fingerprint(keras.Sequential([keras.Input((3,)), *own], name="model"))

    first = fingerprint_with(2, 2)
    assert fingerprint_with(2, 2) == first
    assert fingerprint_with(3, 2) != first
    assert fingerprint_with(2, 3) != first
