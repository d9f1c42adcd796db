"""What a method says of a knob that is wrong: its name first, never an error of Python."""

import keras
import numpy as np
import pytest

from kd_keras import methods

# Each knob refuses some of these; what it accepts is right, as a name of a layer is.
WRONG = (object(), -5.5, "no", [], {}, [["a"]], np.zeros(3), np.array(["kd", "dkd"]))


@pytest.mark.parametrize("name", methods.names())
def test_every_knob_says_whose_it_is(name):
    for knob in methods.knobs(name):
        messages = []
        for value in WRONG:
            try:
                methods.get(name, **{knob: value})
            except ValueError as error:
                messages.append(str(error))
        assert messages, knob
        for message in messages:
            start = f"{name}: "
            assert message.startswith(start), knob
            assert not message.startswith(start * 2), knob
            assert knob in message or "taps are" in message, message
            assert "; expected " in message, message


def test_a_method_with_a_name_of_its_own_is_called_by_it():
    with pytest.raises(ValueError, match=r"^warm: temperature is -1; expected a finite number > 0"):
        methods.get("kd", name="warm", temperature=-1)
    with pytest.raises(ValueError, match=r"^warm: tap is ''; expected a name\. Name a layer"):
        methods.get("fitnet", name="warm", tap="")
    with pytest.raises(ValueError, match=r"^kd: name is 5; expected a name"):
        methods.get("kd", name=5)


def test_a_method_keeps_its_signature_and_its_file():
    method = methods.get("crld", temperature=2.0)
    assert "temperature" in type(method).knobs()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(method))
    assert again.get_config() == method.get_config()
