"""Run by test_replicas.py: the same trainings on one CPU device and on two; what came of each.

python two_replicas.py RESULTS.json
"""

import json
import sys
from pathlib import Path

import keras
import replica_batches
import replica_cases
import replica_subclassed
import tensorflow as tf
from keras import layers
from replica_pair import BATCH, batches, net

from kd_keras import Distiller, methods
from kd_keras.distill import side_by_side
from kd_keras.distill.callbacks import gradient_norms
from kd_keras.graph import twins
from kd_keras.job.hardware import devices
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.training import optimizer
from kd_keras.optimizers import dot

STEPS = 20


def training(
    scope,
    make_methods,
    *,
    steps=STEPS,
    steps_per_execution=1,
    class_weight=None,
    clip=None,
    accumulate=None,
    make=None,
):
    """Weights and history of some steps of SGD, or of the optimizer that `make` makes."""
    with scope:
        teacher = net("teacher", width=6, seed=1)
        distiller = Distiller(
            net("student", width=4, seed=0, l2=0.01), teacher=teacher, methods=make_methods()
        )
        sgd = keras.optimizers.SGD(
            0.05, momentum=0.9, global_clipnorm=clip, gradient_accumulation_steps=accumulate
        )
        optimizer = make() if make else sgd
        distiller.compile(optimizer, metrics=["accuracy"], steps_per_execution=steps_per_execution)
    batch = next(iter(batches(BATCH, seed=2)))
    history = distiller.fit(
        batches(BATCH * steps, seed=2),
        validation_data=batches(37, seed=3),
        class_weight=class_weight,
        verbose=0,
        callbacks=[gradient_norms.GradientNorms(batch)],
    ).history
    with distiller.distribute_strategy.scope():
        # At the end of `fit`, averages take the place of the weights that were measured in it.
        norms = {} if optimizer.use_ema else gradient_norms.norms(distiller, batch)
    return {
        "norms": norms,
        "weights": [v.numpy().tolist() for v in distiller.trainable_variables],
        "steps": int(optimizer._iterations.numpy()),
        "history": {name: float(values[-1]) for name, values in history.items()},
    }


def kd_and_fitnet():
    return [methods.get("kd", ce_weight=0.5), methods.get("fitnet", weight=1.0)]


def sp():
    return [methods.get("sp", taps=("stage2",), weight=10.0)]


def ft():
    # The first stage takes 6 of the steps, and its batch norms are shared by the replicas.
    norms = {"translator_batch_norm": True, "paraphraser_batch_norm": True}
    return [methods.get("ft", tap="stage2", first_stage=0.3, weight=1.0, **norms)]


def clipped_dot():
    return dot.DOT(0.05, weight_decay=1e-3, global_clipnorm=0.05)


def muon_with_averages():
    """As --optimizer muon --accumulate 2 --ema 0.5 --weight-decay 0.01 --clip-norm 0.05 has it."""
    fields = {"accumulate": 2, "ema": 0.5, "weight_decay": 0.01, "clip_norm": 0.05}
    recipe = Recipe(optimizer="muon", **fields)
    return optimizer.make(recipe, 0.01, epochs=1, steps=STEPS)


def trained_side_by_side(scope):
    """Weights of two students that are trained at once."""
    with scope:
        teacher = net("teacher", width=6, seed=1)
        distillers = {}
        for name, method in (("kd and fitnet", kd_and_fitnet()), ("sp", sp())):
            distillers[name] = Distiller(
                net(name.split()[0], width=4, seed=0), teacher=teacher, methods=method
            )
            distillers[name].compile(keras.optimizers.SGD(0.05, momentum=0.9), metrics=["accuracy"])
        model = side_by_side.SideBySideModel(distillers)
    data = batches(BATCH * STEPS, seed=2)
    numbered = data.map(lambda x, y: ({"inputs": x, "id": tf.range(len(y), dtype=tf.int64)}, y))
    model.fit(numbered, validation_data=data, verbose=0)
    return {
        name: [v.numpy().tolist() for v in d.trainable_variables] for name, d in distillers.items()
    }


def states(scope):
    """What each replica's dropout makes of ones, and what the replicas keep after it."""
    two = devices.get("cpu:2")
    with scope:
        inputs = keras.Input((64,))
        dropped = layers.Dropout(0.5, seed=7, name="dropped")(inputs)
        norm = layers.BatchNormalization(momentum=0.0)
        model = keras.Model(inputs, layers.Dense(2)(norm(dropped)))
        twin = twins.Twin(model, ["dropped"])
    (seed,) = (v for v in model.variables if v.name == "seed_generator_state")
    run = tf.function(lambda: twin(tf.ones((1, 64)), training=True)[0]["dropped"])
    values = {"masks": two.run(run), "seeds": seed.value, "means": norm.moving_mean.value}
    return {
        name: [value.numpy().tolist() for value in two.experimental_local_results(value)]
        for name, value in values.items()
    }


def messages(two):
    """What is said where a user makes things in the wrong place, or asks for what cannot be."""
    student = net("student", width=4, seed=0)
    texts = []
    with two.scope():
        inside = net("inside", width=4, seed=0)
        texts.append(_message(lambda: Distiller(student)))
    texts.append(_message(lambda: Distiller(inside)))
    with two.scope():
        distiller = Distiller(inside)
        distiller.compile(keras.optimizers.SGD(0.1))
    x, y = next(iter(batches(9, seed=2)))
    texts.append(_message(lambda: distiller.fit(x.numpy(), y.numpy(), batch_size=4, verbose=0)))
    data = batches(9, seed=2).unbatch().batch(4)
    texts.append(_message(lambda: distiller.fit(data, verbose=0)))
    return texts


def _message(act):
    try:
        act()
    except ValueError as error:
        return str(error)
    return "nothing"


def main():
    two = devices.get("cpu:2")
    one = tf.distribute.get_strategy()
    weights = {"class_weight": {0: 0.5, 1: 2.0, 2: 1.0, 3: 0.0, 4: 1.5}}
    results = {
        "replicas": two.num_replicas_in_sync,
        "is_one_object": devices.get("cpu:2") is two,
        "one": training(one.scope(), kd_and_fitnet, **weights),
        "two, two steps an execution": training(
            two.scope(), kd_and_fitnet, steps_per_execution=2, **weights
        ),
        "one, whole batch": training(one.scope(), sp, clip=0.05),
        "two, whole batch": training(two.scope(), sp, clip=0.05),
        "one, accumulated": training(one.scope(), kd_and_fitnet, clip=0.05, accumulate=3),
        "two, accumulated": training(two.scope(), kd_and_fitnet, clip=0.05, accumulate=3),
        "one, dot": training(one.scope(), kd_and_fitnet, make=clipped_dot),
        "two, dot": training(two.scope(), kd_and_fitnet, make=clipped_dot),
        "one, muon": training(one.scope(), sp, make=muon_with_averages),
        "two, muon": training(two.scope(), sp, make=muon_with_averages),
        "one, two stages": training(one.scope(), ft),
        "two, two stages": training(two.scope(), ft),
        "one, side by side": trained_side_by_side(one.scope()),
        "two, side by side": trained_side_by_side(two.scope()),
        "states": states(two.scope()),
        "messages": messages(two),
        "one, odd batches": replica_batches.odd_batches(one.scope()),
        "two, odd batches": replica_batches.odd_batches(two.scope()),
        "subclassed": replica_subclassed.subclassed(two, Path(sys.argv[1]).parent),
        "one, two views": replica_batches.two_views(one.scope()),
        "two, two views": replica_batches.two_views(two.scope()),
        "pixels": replica_batches.pixels(two.scope()),
    }
    for name, where in (("one", one), ("two", two)):
        results[f"{name}, subclass"] = replica_cases.counting(where)
        results[f"{name}, dot's steps"] = replica_cases.dot(where)
        for label_mode in ("single", "multi"):
            case = f"{name}, unknown labels, {label_mode}"
            results[case] = replica_cases.unknown_labels(where, label_mode=label_mode)
        results[f"{name}, eager"] = replica_cases.embedded(where, eagerly=True)
        results[f"{name}, sparse gradients"] = replica_cases.embedded(
            where, eagerly=False, global_clipnorm=0.05
        )
    results["learning rates"] = replica_cases.learning_rates(two)
    replica_cases.exported(two, Path(sys.argv[1]).parent)
    with open(sys.argv[1], "w") as file:
        json.dump(results, file)


if __name__ == "__main__":
    main()
