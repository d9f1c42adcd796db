"""What the Distiller takes and refuses, in its constructor and in compile."""

import keras
import pytest

from kd_keras import Distiller, methods


def test_compile_s_default_is_adam(student):
    distiller = Distiller(student)
    distiller.compile()
    assert type(distiller.optimizer) is keras.optimizers.Adam
    assert float(distiller.optimizer.learning_rate) == pytest.approx(0.001)


@pytest.mark.parametrize("loss", ["mse", keras.losses.MeanSquaredError(name="mse")])
def test_compile_refuses_a_loss_in_words(student, loss):
    message = "loss is .*'mse'; expected none: .* Leave it out; ce_weight= of Distiller weights"
    with pytest.raises(ValueError, match=message):
        Distiller(student).compile("sgd", loss)
    with pytest.raises(ValueError, match=message):
        Distiller(student).compile(loss=loss)


def test_none_is_no_method_and_no_other_value_is(student, teacher):
    assert Distiller(student, methods=None).methods == ()
    kd = type(methods.get("kd"))
    for value in (3, kd, "kd", [kd]):
        with pytest.raises(ValueError, match=r"methods contain .*; expected Method objects. Make"):
            Distiller(student, teacher=teacher, methods=value)
    with pytest.raises(ValueError, match="validate_teacher is 'no'; expected one of: False, True"):
        Distiller(student, validate_teacher="no")
