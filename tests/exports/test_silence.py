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


def test_a_log_handler_of_the_block_does_not_get_logs_after_it(capfd):
    handlers, level = logging.root.handlers, logging.root.level
    logging.getLogger("server")  # exists before the block
    logging.root.handlers = []  # pytest's own; `basicConfig` adds none beside others
    try:
        with silent():
            logging.basicConfig(level=logging.DEBUG)
            logging.getLogger("server").setLevel(logging.DEBUG)
        logging.getLogger("server").warning("a warning after it")
        logging.getLogger("server").info("an info after it")
        assert logging.root.level == level
    finally:
        logging.root.handlers = handlers
        logging.root.setLevel(level)
    assert capfd.readouterr() == ("", "a warning after it\n")
