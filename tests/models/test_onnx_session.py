import sys

import pytest

from kd_keras.models import onnx_session


def test_a_missing_library_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match=r"onnxruntime is not installed .*pip install 'kd-keras"):
        onnx_session.open_session(tmp_path / "model.onnx")


def test_a_file_that_is_no_model_is_refused_with_a_remedy(tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"model\.onnx cannot be opened .*Copy or export it again"):
        onnx_session.open_session(path)
