import pytest


@pytest.fixture(scope="session")
def recorder():
    """recorder() is a screen that keeps what it is told in `lines` and prints nothing."""
    from kd_keras.results.screen import Screen

    class Recorder(Screen):
        def __init__(self):
            self.lines = []

        def say(self, text):
            self.lines.append(text)

        warn = say

        def table(self, title, columns, rows):
            self.lines.append(title)

    return Recorder
