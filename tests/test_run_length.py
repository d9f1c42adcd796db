import types

import keras
import pytest

from kd_keras import run_length


def model(optimizer=None, *, told=None, changing=True):
    method = types.SimpleNamespace(name="kd", needs_progress=changing)
    optimizer = optimizer or keras.optimizers.SGD()
    return types.SimpleNamespace(
        total_steps=told, run_steps=None, optimizer=optimizer, methods=[method], made=0
    )


def begin(of, *, steps, epochs):
    callback = run_length.RunLength()
    callback.set_params({"steps": steps, "epochs": epochs})
    callback.set_model(of)
    of.make_train_function = lambda force: setattr(of, "made", of.made + 1)
    callback.on_train_begin()


def test_share_is_steps_done_of_all():
    run = model()
    begin(run, steps=5, epochs=4)
    assert float(run_length.share_done(run)) == 0
    run.optimizer.iterations.assign(5)
    assert float(run_length.share_done(run)) == 0.25
    run.optimizer.iterations.assign(50)
    assert float(run_length.share_done(run)) == 1


def test_what_it_was_told_wins():
    run = model(told=10)
    run.optimizer.iterations.assign(5)
    assert float(run_length.share_done(run)) == 0.5
    begin(run, steps=5, epochs=4)
    assert float(run_length.share_done(run)) == 0.5


def test_each_fit_finds_its_own_length_and_the_step_is_made_anew_only_then():
    run = model()
    for steps, epochs, made in [(5, 1, 1), (5, 1, 1), (5, 3, 2)]:
        begin(run, steps=steps, epochs=epochs)
        assert (run.run_steps, run.made) == (steps * epochs, made)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
        lambda: keras.optimizers.SGD(gradient_accumulation_steps=2),
    ],
)
def test_steps_count_for_wrapped_and_accumulating_optimizers(optimizer):
    run = model(optimizer(), told=8)
    inner = getattr(run.optimizer, "inner_optimizer", run.optimizer)
    inner._iterations.assign(4)
    assert float(run_length.share_done(run)) == 0.5


def test_an_unknown_length_matters_only_to_methods_that_change():
    assert float(run_length.share_done(model(changing=False))) == 1
    run = model()
    begin(run, steps=None, epochs=2)
    with pytest.raises(ValueError, match=r"\['kd'\] change over the run, whose length is not"):
        run_length.share_done(run)
