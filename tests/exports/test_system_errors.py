import errno

import pytest
import tensorflow as tf

from kd_keras.exports import system_errors


@pytest.mark.parametrize(
    ("message", "number", "reason"),
    [
        (
            "{{function_node x}} Failed to flush 3 events to a/b; No space left on device "
            "[Op:FlushSummaryWriter]",
            errno.ENOSPC,
            "No space left on device",
        ),
        (
            "a/b; Read-only file system\n\tCould not initialize events writer.",
            errno.EROFS,
            "Read-only file system",
        ),
        ("something else", None, "something else"),
    ],
)
def test_the_reason_and_its_number_are_found(message, number, reason):
    error = system_errors.as_os_error(tf.errors.UnknownError(None, None, message))
    assert (error.errno, error.strerror or str(error)) == (number, reason)
