from click.testing import CliRunner

from kd_keras.cli import kdk
from kd_keras.job.prediction import web_app


def test_the_command_serves_a_run_and_says_where(monkeypatch):
    calls = []

    def serve(run, *, port, open_browser, ready):
        calls.append((run, port, open_browser))
        ready(f"http://127.0.0.1:{port}")

    monkeypatch.setattr(web_app, "check", lambda run, port: calls.append((run, port)))
    monkeypatch.setattr(web_app, "serve", serve)
    result = CliRunner().invoke(kdk, ["app", "pets", "--port", "8001", "--no-browser"])
    assert result.exit_code == 0, result.output
    assert calls == [("pets", 8001), ("pets", 8001, False)]
    assert "The page is at http://127.0.0.1:8001; Ctrl-C ends it." in result.output
