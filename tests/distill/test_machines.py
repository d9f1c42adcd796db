"""Two processes train what one trains; the first one alone writes, and the others learn of it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("two_machines.py")


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("machines")
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    running = []
    for index in range(2):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        running.append(
            subprocess.Popen(
                [sys.executable, str(SCRIPT), str(path)],
                env={**os.environ, "TF_CONFIG": json.dumps(task)},
                cwd=SCRIPT.parents[2],
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    errors = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], errors[0][-3000:]
    return path


@pytest.mark.slow
def test_two_processes_train_what_one_trains(folder):
    alone, first, second = (np.load(folder / f"{name}.npz") for name in ("alone", "0", "1"))
    assert {"loss", "val_loss", "val_accuracy", "weight 0"} <= set(alone.files)
    for name in alone.files:
        np.testing.assert_array_equal(second[name], first[name])
        np.testing.assert_allclose(first[name], alone[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_the_first_process_writes_and_the_other_reads(folder):
    assert [(folder / f"{place}.found").read_text() for place in range(2)] == ["True", "True"]


@pytest.mark.slow
def test_where_the_first_process_fails_the_other_does_not_wait(folder):
    assert (folder / "0.error").read_text() == "no room"
    assert "the first machine of this run stopped" in (folder / "1.error").read_text()
