"""Images that are mixed with others, from the data pipeline to the end of `fit`."""

import dataclasses

import keras
import numpy as np
import pytest

from kd_keras import Distiller, methods
from kd_keras.data import pipeline
from kd_keras.data.augmentation import policy_of
from kd_keras.data.stores.store import Split
from kd_keras.distill.step import metrics

CLASSES, BATCH = 5, 8


@pytest.fixture
def plan():
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
    split = Split(images, np.arange(24, dtype=np.int32) % CLASSES, np.arange(24))
    policy = policy_of("light", crop_padding=1, flip=True, mixup=0.5, cutmix=1.0)
    return pipeline.BatchPlan(split, batch_size=BATCH, seed=0, policy=policy, num_classes=CLASSES)


def distiller_of(net, teacher, *names):
    distiller = Distiller(
        net("student", norm=False), teacher=teacher, methods=map(methods.get, names)
    )
    distiller.compile(keras.optimizers.SGD(0.0), metrics=[metrics.TopAccuracy(1, name="top1")])
    return distiller


def test_labels_count_with_their_shares_and_validation_is_not_mixed(net, teacher, plan, by_hand):
    distiller = distiller_of(net, teacher, "kd")
    history = distiller.fit(
        plan.dataset(0, 3), validation_data=pipeline.evaluation(plan.split, batch_size=8), verbose=0
    ).history
    batches = [plan.batch(t) for t in range(3)]
    logits = [distiller.student(images.astype("float32")).numpy() for images, *_ in batches]
    labels = [soft for _, _, soft, _ in batches]
    loss = [
        -(soft * by_hand.log_softmax(z)).sum(axis=1) for soft, z in zip(labels, logits, strict=True)
    ]
    assert history["ce"][0] == pytest.approx(np.mean(loss), rel=1e-5)
    right = [s.argmax(1) == z.argmax(1) for s, z in zip(labels, logits, strict=True)]
    assert history["top1"][0] == pytest.approx(np.mean(right))
    plain = distiller.student(plan.split.images.astype("float32")).numpy()
    expected = by_hand.cross_entropy(plan.split.labels, plain).mean()
    assert history["val_loss"][0] == pytest.approx(expected, rel=1e-5)


def test_class_weights_are_refused(net, teacher, plan):
    distiller = distiller_of(net, teacher, "kd")
    with pytest.raises(ValueError, match=r"images are mixed .* and have sample or class weights"):
        distiller.fit(plan.dataset(0, 3), class_weight={0: 2.0}, verbose=0)


def test_a_method_of_one_class_is_refused(net, teacher, plan):
    distiller = distiller_of(net, teacher, "nkd")
    with pytest.raises(ValueError, match=r"images are mixed .*\['nkd'\] need integer labels"):
        distiller.fit(plan.dataset(0, 3), verbose=0)


def test_mixtures_of_images_without_labels_do_not_count(net, teacher, plan, by_hand):
    known = np.arange(24) % 2 == 0
    labels = np.where(known, plan.split.labels, -1).astype(np.int32)
    plan = dataclasses.replace(plan, split=dataclasses.replace(plan.split, labels=labels))
    distiller = distiller_of(net, teacher, "kd")
    distiller.compile(keras.optimizers.SGD(0.0), ignore_class=-1)
    history = distiller.fit(plan.dataset(0, 3), verbose=0).history
    losses = []
    for images, ids, soft, _ in map(plan.batch, range(3)):
        logits = distiller.student(images.astype("float32")).numpy()
        loss = -(soft * by_hand.log_softmax(logits)).sum(axis=1)
        losses.append(loss[known[ids]])
    assert history["ce"][0] == pytest.approx(np.concatenate(losses).mean(), rel=1e-5)
