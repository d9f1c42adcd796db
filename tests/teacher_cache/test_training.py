"""A student trained from a cache is the student that had the teacher beside it."""

import functools

import keras
import numpy as np
import pytest

from kd_keras import Distiller, methods
from kd_keras.data import pipeline
from kd_keras.data.augmentation import policy_of
from kd_keras.teacher_cache import writer
from kd_keras.teacher_cache.reader import Cache

DTYPES = [("float32", 1e-6), pytest.param("float16", 2e-3, marks=pytest.mark.extended)]
VIEWS, STEPS = 2, 12  # three epochs of four steps
STRONG = policy_of("strong", crop_padding=1, flip=True, mixup=0.2, cutmix=1.0)


@pytest.fixture(scope="module")
def trained(example, student):
    def train(rows, names, policy=example.policy):
        distiller = Distiller(
            student(), teacher=example.teacher, methods=[methods.get(name) for name in names]
        )
        distiller.compile(keras.optimizers.Adam(0.001))
        plan = pipeline.BatchPlan(
            example.split,
            batch_size=9,
            seed=3,
            policy=policy,
            views=VIEWS,
            views_per_image=distiller.views_per_image,
            num_classes=5,
        )
        distiller.fit(plan.dataset(0, STEPS, teacher=rows), epochs=1, verbose=0)
        return np.concatenate([np.ravel(w) for w in distiller.student.get_weights()])

    return train


@pytest.fixture(scope="module")
def trained_online(trained):
    """As `trained`, with the teacher beside the student; trains each case once."""
    return functools.cache(lambda *case: trained(None, *case))


@pytest.mark.parametrize(("dtype", "most"), DTYPES)
@pytest.mark.parametrize("names", [("kd", "srrl"), ("mlkd",)], ids=", ".join)
def test_cached_training_equals_online_training(
    tmp_path, example, header_of, trained, trained_online, names, dtype, most
):
    views_per_image = max(methods.get(name).views_per_image for name in names)
    header = header_of(views=VIEWS * views_per_image, dtype=dtype)
    writer.make(tmp_path, header, example.split, example.ask)
    online, cached = trained_online(names), trained(Cache(tmp_path), names)
    assert np.linalg.norm(online - cached) <= most * np.linalg.norm(online)


@pytest.mark.parametrize(("dtype", "most"), DTYPES)
def test_cached_training_equals_online_training_under_strong_with_mixup(
    tmp_path, example, header_of, trained, trained_online, dtype, most
):
    header = header_of(views=VIEWS, dtype=dtype, augment=STRONG.to_json())
    writer.make(tmp_path, header, example.split, example.ask)
    cache = Cache(tmp_path)
    names = ("kd", "srrl")
    online, cached = trained_online(names, STRONG), trained(cache, names, STRONG)
    assert np.linalg.norm(online - cached) <= most * np.linalg.norm(online)
    assert writer.verify(cache, example.split, example.ask) <= most
