import logging
import os
import warnings

from kd_keras.exports.silence import silent


def test_what_the_block_prints_is_hidden_and_nothing_after_it(capfd):
    with silent():
        os.write(1, b"a line of C++\n")
        os.write(2, b"another\n")
        print("a line of Python")
        warnings.warn("a warning", stacklevel=1)
        logging.getLogger("converter").error("a log")
    print("after")
    assert capfd.readouterr() == ("after\n", "")
    assert logging.getLogger("converter").isEnabledFor(logging.ERROR)
