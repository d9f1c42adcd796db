"""What `kdk cache` refuses before it loads data, which may have to be downloaded."""

import pytest

from kd_keras.job.cache import make_cache
from kd_keras.job.images import adjustment
from kd_keras.results.terminal.screen import Screen


@pytest.fixture
def refuse(cacheable_recipe, monkeypatch, tmp_path):
    """refuse(options, **changes) makes a cache and fails where the data would be loaded."""

    def load(*arguments, **options):
        pytest.fail("the data are loaded first")

    monkeypatch.setattr(adjustment, "load_and_adjust", load)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.keras").write_text("text")
    (tmp_path / "file").touch()

    def make(options, **changes):
        if folder := options.get("folder"):
            options = {**options, "folder": tmp_path / folder}
        make_cache.run(cacheable_recipe(**changes), screen=Screen(), **options)

    return make


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        ({}, {"teacher": "missing.keras"}, "no model at missing.keras; expected a .keras or"),
        ({}, {"teacher": "missing.onnx"}, "missing.onnx does not exist; expected an ONNX file"),
        ({}, {"teacher": "text.keras"}, "text.keras .* is not a .keras file"),
        ({}, {"teacher": "cache:folder"}, "a cache already; expected a model"),
        ({}, {"teacher": "resnet8"}, "'resnet8', a model that is not trained yet"),
        (
            {},
            {"teacher_class_names": "missing.txt"},
            "teacher_class_names is missing.txt, which is not",
        ),
        ({}, {"views": 0}, "views is 0.*Give --views"),
        ({"top_k": 0}, {}, "top_k is 0; expected a whole number >= 1"),
        ({"dtype": "float8"}, {}, "cache dtype is 'float8'; expected one of"),
        ({"taps": ("output", "pooled")}, {}, "output alone or other taps"),
        ({"taps": ("pooled",)}, {"teacher": "a.onnx"}, "an ONNX file gives its first output alone"),
        ({"folder": "file"}, {}, "Could not write .*file"),
    ],
    ids=str,
)
def test_what_needs_no_data_is_refused_before_they_are_loaded(refuse, options, changes, message):
    with pytest.raises((ValueError, OSError), match=message):
        refuse(options, **changes)
