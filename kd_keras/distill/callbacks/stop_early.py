"""Ends a training that no longer gets better on held-out images, and restores its best weights."""

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, NamedTuple

import keras

from kd_keras import check

#: What is logged of the held-out images; `MAP` in place of `TOP1` where an image may have several
#: classes.
TOP1, MAP, LOSS = "held_out_top1", "held_out_map", "held_out_loss"


class Decision(NamedTuple):
    """The best epoch so far, and whether training ends; epochs count from 0."""

    best: int  # the epoch with the best weights
    end: int | None  # the epoch after which training ends; None: it goes on


def decide(score: Sequence[float], loss: Sequence[float], patience: int) -> Decision:
    """The best epoch, and whether the training has ended.

    An epoch is better if its score is higher, or equal and its loss lower.

    Args:
        score, loss: accuracy or mAP, and cross-entropy, on the held-out images after each epoch.
        patience: epochs without a better one after which training ends, >= 1.
    """
    best_epoch = 0
    for epoch in range(1, len(score)):
        if epoch - best_epoch > patience:
            break
        if (score[epoch], -loss[epoch]) > (score[best_epoch], -loss[best_epoch]):
            best_epoch = epoch
    end = best_epoch + patience
    return Decision(best_epoch, end if end < len(score) else None)


def stopping_record(history: Mapping[str, Sequence[float]], patience: int) -> dict[str, Any]:
    """What results.json says of a training with `StopEarly`, from its history.

    Args:
        history: values by metric, one for each epoch.
        patience: epochs without a better score after which the training ended, >= 1.
    """
    name = score_name(history)
    best_epoch, end = decide(history[name], history[LOSS], patience)
    return {
        "best_epoch": best_epoch + 1,
        "epochs": len(history[name]) if end is None else end + 1,
        name: history[name][best_epoch],
    }


def score_name(entries: Container[str]) -> str:
    """Which score a history, or what `stopping_record` returns, has: `TOP1` or `MAP`."""
    return MAP if MAP in entries else TOP1


class StopEarly(keras.callbacks.Callback):
    """Ends `fit` after `patience` epochs without a better one; restores the best epoch's weights.

    It evaluates the model after each epoch, with averaged weights where there are such, and adds
    `held_out_top1` (or `held_out_map`, see `mean_average_precision`) and `held_out_loss` to the
    logs. Put it before callbacks that write logs and after
    `keras.callbacks.SwapEMAWeights(swap_on_epoch=True)`. `checkpoint.Checkpoint` saves the best
    weights too, so that a training that goes on ends in the same epoch with the same weights.

    Args:
        held_out: (images, labels) or a dataset, of images that are used for nothing else: neither
            for training nor for the accuracy that is reported.
        patience: epochs, >= 1.
        metric: name of the compiled accuracy.
        mean_average_precision: function from the model to its mAP on the held-out images, which
            takes the accuracy's place where an image may have several classes.
        earlier: logs by name of the epochs before the first one, of a training that goes on.

    Raises:
        ValueError: `patience` is below 1; in `fit`, the model has no metric of this name.
    """

    def __init__(
        self,
        held_out: Any,
        *,
        patience: int,
        metric: str = "top1",
        mean_average_precision: Callable[[keras.Model], float] | None = None,
        earlier: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        self.held_out, self.metric = held_out, metric
        self.patience = check.whole_number("patience", patience, at_least=1)
        self._map = mean_average_precision
        self._name = TOP1 if mean_average_precision is None else MAP
        columns = ((earlier or {}).get(name, ()) for name in (self._name, LOSS))
        # Score and loss by epoch; epochs before `initial_epoch` may be missing.
        self._scores = dict(enumerate(zip(*columns, strict=True)))

    def on_train_begin(self, logs: Any = None) -> None:
        self.model.keep_weights()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        x, y = self.held_out if isinstance(self.held_out, tuple) else (self.held_out, None)
        scores = self.model.evaluate(x, y, verbose=0, return_dict=True)
        if "loss" not in scores:  # all labels are unknown
            raise ValueError(
                "the held-out images have no known labels; expected labels to stop early by. Give "
                "held-out images with labels."
            )
        if self._map is None and self.metric not in scores:
            raise ValueError(
                f"the metrics are {sorted(scores)}; expected one called {self.metric!r} to stop "
                "by. Compile the model with it, or name another by metric=."
            )
        score = scores[self.metric] if self._map is None else self._map(self.model)
        if logs is not None:
            logs |= {self._name: score, LOSS: scores["loss"]}
        earlier_scores = {number: pair for number, pair in self._scores.items() if number < epoch}
        self._scores = earlier_scores | {epoch: (float(score), float(scores["loss"]))}
        by_epoch, losses = zip(*self._scores.values(), strict=True)
        best_epoch, end = decide(by_epoch, losses, self.patience)
        if list(self._scores)[best_epoch] == epoch:
            self.model.keep_weights()
        if end is not None:
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if self._scores:
            self.model.restore_weights()


class StopTogether(keras.callbacks.Callback):
    """Ends a `fit` of several models side by side once `StopEarly` has ended each of them.

    Args:
        models: the models.
    """

    def __init__(self, models: Sequence[Any]) -> None:
        super().__init__()
        self._models = models

    def on_train_begin(self, logs: Any = None) -> None:
        for model in self._models:
            model.stop_training = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if all(model.stop_training for model in self._models):
            self.model.stop_training = True
