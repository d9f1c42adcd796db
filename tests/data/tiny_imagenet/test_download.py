import functools
import hashlib
import http.server
import threading

import pytest

from kd_keras.data.progress import silent
from kd_keras.data.tiny_imagenet import download

CONTENT = b"an archive" * 1000
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def url(tmp_path):
    """The address of a file on a server of our own."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "tiny.zip").write_bytes(CONTENT)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=tmp_path / "served")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/tiny.zip"
        server.shutdown()


@pytest.fixture
def fetch(tmp_path):
    def fetch(url, sha256=CHECKSUM):
        return download.download(
            url, sha256=sha256, size=len(CONTENT), folder=tmp_path / "downloads", progress=silent
        )

    return fetch


def test_a_file_is_fetched_once_and_kept(url, fetch, tmp_path):
    assert fetch(url).read_bytes() == CONTENT
    (tmp_path / "served" / "tiny.zip").unlink()
    assert fetch(url) == tmp_path / "downloads" / "tiny.zip"


def test_a_wrong_checksum_is_refused_and_nothing_kept(url, fetch, tmp_path):
    message = r"SHA-256 .*; expected 10,000 bytes with 0123\. Try again\. .*--data-dir"
    with pytest.raises(ValueError, match=message):
        fetch(url, sha256="0123")
    assert not list((tmp_path / "downloads").iterdir())


def test_without_a_network_the_message_says_what_to_do(fetch, tmp_path):
    message = r"127\.0\.0\.1:9/tiny\.zip cannot be downloaded .*--data-dir .*--recipe quickstart"
    with pytest.raises(ConnectionError, match=message):
        fetch("http://127.0.0.1:9/tiny.zip")
    assert not list((tmp_path / "downloads").iterdir())


def test_an_address_that_is_no_more_is_reported(url, fetch):
    with pytest.raises(ConnectionError, match=r"gone\.zip cannot be downloaded .*404"):
        fetch(url.replace("tiny.zip", "gone.zip"))
