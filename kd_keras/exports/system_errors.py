"""Errors of the system, such as a full disk, that TensorFlow reports in errors of its own."""

import errno
import os
from typing import Any


def as_os_error(error: Any) -> OSError:
    """The OSError that a `tf.errors.OpError` tells of, with its number where that is known."""
    first = error.message.split("\n")[0]  # the lines after it say what it was done for
    reason = first.split("; ")[-1].split(" [Op:")[0].strip()
    numbers = {os.strerror(number): number for number in errno.errorcode}
    error_numbers = (numbers[reason],) if reason in numbers else ()
    return OSError(*error_numbers, reason)
