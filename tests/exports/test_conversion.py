import os

import pytest

from kd_keras.exports.conversion import quiet_conversion


def test_its_error_is_shown_in_one_line(capfd):
    message = "\n<unknown>:0: error: loc(\"a/b\"): 'tf.Foo' op is neither a custom op\nmore\n"
    expected = r"'pet' cannot be converted to LiteRT \('tf.Foo' op is neither a custom op\)"

    def fail():
        os.write(2, b"pages of a trace\n")
        raise RuntimeError(message)

    with pytest.raises(ValueError, match=expected), quiet_conversion("pet", "LiteRT"):
        fail()
    assert capfd.readouterr() == ("", "")


def test_a_full_disk_stays_an_oserror():
    with pytest.raises(OSError, match="No space"), quiet_conversion("pet", "ONNX"):
        raise OSError(28, "No space left on device")
