import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kd_keras.cli import termination

ROOT = Path(__file__).parents[2]


def test_sigterm_is_raised_in_the_block_and_the_handler_is_put_back():
    def wait():
        with termination.raised():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)

    with pytest.raises(termination.Terminated):
        wait()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_nothing_changes_where_the_signal_is_ignored_or_in_another_thread():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with termination.raised():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    handlers = []

    def enter():
        with termination.raised():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert handlers == [signal.SIG_DFL]


def test_a_command_ends_with_a_message_and_code_143():
    # The run is replaced by one that waits, so that the test needs no TensorFlow.
    code = (
        "import sys, time, types\n"
        "from kd_keras.cli import kdk, quiet\n"
        "quiet.import_tensorflow = lambda: None\n"
        "def run(recipe, **options):\n"
        "    print('started', flush=True)\n"
        "    time.sleep(60)\n"
        "sys.modules['kd_keras.job.train'] = types.SimpleNamespace(run=run)\n"
        "kdk(['train', '--recipe', 'quickstart', '--json'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr.readline() == b"started\n"
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    message = b"kdk: stopped by SIGTERM. Run the same command again to continue.\n"
    assert (process.returncode, stdout, stderr) == (143, b"", message)
