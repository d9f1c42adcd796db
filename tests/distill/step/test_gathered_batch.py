import numpy as np
import pytest

from kd_keras import methods, replicas
from kd_keras.distill.step import gathered_batch
from kd_keras.methods.base import Batch


@pytest.fixture
def gathered(monkeypatch):
    """Gathers as two replicas with equal examples; lists what was gathered."""
    values = []

    def twice(value):
        values.append(value)
        return np.concatenate([value, value])

    monkeypatch.setattr(replicas, "gathered", twice)
    return values


def test_a_field_is_gathered_when_it_is_read_and_only_once(gathered):
    labels = np.array([1, 2])
    batch = gathered_batch.GatheredBatch(Batch(labels, inputs=np.zeros((2, 3)), progress=0.25))
    assert batch.progress == 0.25
    assert batch.ids is None
    assert not gathered
    for _ in range(2):
        np.testing.assert_array_equal(batch.labels, [1, 2, 1, 2])
    (value,) = gathered
    assert value is labels


def test_of_the_outputs_only_those_that_the_method_reads_are_gathered(gathered):
    method = methods.get("sp", taps=["pooled"])
    names = ("logits", "logits_view2", "pooled", "other")
    outputs = {name: np.ones((2, 3)) for name in names}
    arguments = gathered_batch.gathered_arguments(method, outputs, outputs, Batch(np.zeros(2)))
    for side in ("student", "teacher"):
        assert set(arguments[side]) == {"logits", "logits_view2", "pooled"}
        assert all(value.shape == (4, 3) for value in arguments[side].values())
