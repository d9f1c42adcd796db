import importlib.util
import shutil
import socket
import sys

import numpy as np
import pytest
from PIL import Image

from kd_keras.job.prediction import web_app


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(path)
    return path


def test_every_model_of_a_run_answers_with_its_time(tiny_run, picture):
    models = web_app.timed_models(tiny_run)
    assert [model.name for model in models] == ["teacher", "student alone", "student"]
    probabilities, milliseconds = models[-1](picture)
    assert set(probabilities) < set("0123456789")
    assert len(probabilities) == web_app.TOP
    assert list(probabilities.values()) == sorted(probabilities.values(), reverse=True)
    assert milliseconds > 0


def test_a_file_that_is_no_image_is_said(tiny_run, tmp_path):
    (tmp_path / "notes.png").write_text("no image")
    with pytest.raises(ValueError, match="image"):
        web_app.timed_models(tiny_run)[-1](tmp_path / "notes.png")


def test_what_cannot_be_served_is_said(tiny_run, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"is not a finished run.*kdk runs"):
        web_app.serve(tmp_path / "none")
    unfinished = shutil.copytree(tiny_run, tmp_path / "unfinished")
    (unfinished / "results.json").unlink()
    with pytest.raises(ValueError, match="is not a finished run"):
        web_app.timed_models(unfinished)
    with socket.socket() as other:
        other.bind((web_app.HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=rf"port {port} is in use.*--port"):
            web_app.serve(tiny_run, port=port)


def test_without_gradio_it_says_what_to_install(tiny_run, monkeypatch):
    monkeypatch.delitem(sys.modules, "gradio", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'kd-keras\[app\]'"):
        web_app.check(tiny_run, port=0)


def test_the_page_answers_over_its_api(tiny_run, picture):
    gradio = pytest.importorskip("gradio", reason="the extra 'app' is not installed")
    client = pytest.importorskip("gradio_client")
    with socket.socket() as probe:
        probe.bind((web_app.HOST, 0))
        port = probe.getsockname()[1]
    addresses = []
    page = web_app.serve(
        tiny_run, port=port, open_browser=False, wait=False, ready=addresses.append
    )
    try:
        assert addresses == [f"http://127.0.0.1:{port}"]
        ask = client.Client(addresses[0], verbose=False)
        answers = ask.predict(client.handle_file(str(picture)), api_name="/answers")
    finally:
        page.close()
    assert gradio
    assert len(answers) == 6
    assert answers[5].endswith("ms for this picture")
