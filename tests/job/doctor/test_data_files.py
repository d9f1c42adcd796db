import socket
import threading
import time

import pytest

from kd_keras.job.doctor import data_files


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder and cache, with a network whose answers a test chooses."""
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(data_files, "_reach", lambda host: "")
    return tmp_path


def by_name(data_dir=None):
    return {finding.name: finding for finding in data_files.findings(data_dir)}


def test_tiny_imagenet_is_found_in_the_usual_places_and_where_one_says(here):
    missing = by_name()["tiny_imagenet"]
    assert (missing.state, "--data-dir FOLDER" in missing.remedy) == ("missing", True)
    (here / "Downloads").mkdir()
    (here / "Downloads" / "tiny-imagenet-200.zip").write_bytes(b"zip")
    assert by_name()["tiny_imagenet"].text.endswith(
        "tiny-imagenet-200.zip; give --data-dir ~/Downloads"
    )
    (here / "mine" / "tiny-imagenet-200").mkdir(parents=True)
    assert by_name(here / "mine")["tiny_imagenet"].state == "fine"
    assert "not in " in by_name(here / "nowhere")["tiny_imagenet"].text


def test_the_caches_are_summed(here):
    assert by_name()["caches"].text == "empty"
    leftover = here / "cache" / ".old.partial"
    leftover.mkdir(parents=True)
    (leftover / "half").write_bytes(b"0" * 2_000_000)
    assert by_name()["caches"].text == "left over 2 MB"


def test_a_host_that_does_not_answer_is_missing_within_seconds(here, monkeypatch):
    monkeypatch.setattr(data_files, "SECONDS", 0.05)
    event = threading.Event()
    monkeypatch.setattr(data_files, "_reach", lambda host: str(event.wait(30)))
    start = time.monotonic()
    findings = data_files._network()
    assert time.monotonic() - start < 10  # not the 30 s of each host
    event.set()
    assert {finding.state for finding in findings} == {"missing"}
    assert "cs231n.stanford.edu: no answer" in findings[0].text


def test_a_connection_is_made_to_the_host_or_the_proxy(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        assert data_files._reach("host.invalid") == ""
    assert data_files._reach("host.invalid") != ""  # the proxy is gone
    monkeypatch.delenv("http_proxy")
    assert data_files._reach("host.invalid") != ""
