import numpy as np
import pytest

from kd_keras import methods
from kd_keras.distill.step.batches import Examples
from kd_keras.distill.step.objective import Objective
from kd_keras.methods.base import Method

LOGITS = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
OTHER = np.random.default_rng(1).normal(size=(4, 5)).astype("float32")
LABELS = np.array([0, 3, 1, 4])


class Constant(Method):
    """Costs `value` of every example, and 100 in its first stage."""

    def __init__(self, *, value=1.0, stage=0.0, weight=1.0, ce_weight=1.0, warmup=0.0, name="c"):
        super().__init__(weight=weight, ce_weight=ce_weight, warmup=warmup, name=name)
        self.value, self.stage, self.first_stage = value, stage, stage

    def call(self, student, teacher, batch):
        return self.value * np.ones(len(batch.labels), "float32")

    def first_stage_call(self, student, teacher, batch):
        return 100 * np.ones(len(batch.labels), "float32")


def examples(*, labels=LABELS, inputs=None, sample_weight=None, ids=None):
    return Examples(inputs, labels, sample_weight, ids, None)


def objective(*chosen_methods, ce_weight=1.0, label_smoothing=0.0):
    return Objective(chosen_methods, ce_weight=ce_weight, label_smoothing=label_smoothing)


def loss(goal, batch=None, *, progress=1.0, stage=0.0):
    outputs = {"logits": LOGITS}, {"logits": OTHER}
    return goal(*outputs, batch or examples(), np.float32(progress), stage=stage)


def terms(goal, batch=None, *, stage=0.0):
    return {name: float(value) for name, value in loss(goal, batch, stage=stage).terms.items()}


def test_terms_are_means_without_their_weights(by_hand):
    kd = methods.get("kd", temperature=2.0, weight=7.0)
    result = terms(objective(kd, Constant(value=3.0), ce_weight=5.0))
    assert result == {
        "ce": pytest.approx(by_hand.cross_entropy(LABELS, LOGITS).mean(), rel=1e-5),
        "kd": pytest.approx(by_hand.kl(OTHER, LOGITS, 2.0).mean(), rel=1e-5),
        "c": 3.0,
    }


def test_sample_weights_multiply_every_loss_and_the_batch_size_divides(by_hand):
    weights = np.array([0.0, 1.0, 2.0, 0.5], "float32")
    result = terms(objective(Constant(value=3.0)), examples(sample_weight=weights))
    cross_entropy = by_hand.cross_entropy(LABELS, LOGITS)
    assert result["ce"] == pytest.approx((weights * cross_entropy).sum() / 4, rel=1e-5)
    assert result["c"] == pytest.approx(3.0 * 3.5 / 4)


def test_label_smoothing_spreads_the_target(by_hand):
    result = terms(objective(label_smoothing=0.2))["ce"]
    target = 0.8 * np.eye(5)[LABELS] + 0.2 / 5
    assert result == pytest.approx(-(target * by_hand.log_softmax(LOGITS)).sum(1).mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("progress", "expected"), [(0.0, 0.0), (0.125, 1.0), (0.25, 2.0), (1.0, 2.0)]
)
def test_warmup_is_linear_and_leaves_the_cross_entropy_alone(progress, expected):
    goal = objective(Constant(weight=2.0, warmup=0.25), ce_weight=0.5)
    result = loss(goal, progress=progress)
    assert float(result.weighted["ce"]) == pytest.approx(0.5 * float(result.terms["ce"]))
    assert float(result.weighted["c"]) == float(result.distillation) == expected
    assert float(result.task) == float(result.weighted["ce"])


@pytest.mark.parametrize(
    ("stage", "counted", "losses"),
    [
        (0.0, {"long", "short"}, (100.0, 100.0)),
        (0.2, {"long", "short"}, (100.0, 3.0)),
        (0.4, {"ce", "long", "short", "plain"}, (2.0, 3.0)),
    ],
)
def test_while_one_is_in_its_first_stage_methods_of_stages_alone_count(stage, counted, losses):
    long, short = (
        Constant(value=2.0, stage=0.4, name="long"),
        Constant(value=3.0, stage=0.2, name="short"),
    )
    goal = objective(long, short, Constant(name="plain"))
    assert goal.stages == (0.0, 0.2, 0.4)
    assert set(loss(goal, progress=stage, stage=stage).weighted) == counted
    result = terms(goal, stage=stage)
    assert (result["long"], result["short"], result["plain"]) == (*losses, 1.0)


class Views(Constant):
    views_per_image = 2

    def call(self, student, teacher, batch):
        return (
            student["logits"][:, 0] + 10 * student["logits_view2"][:, 0] + teacher["logits"][:, 1]
        )


def test_two_views_of_an_image_are_separated(by_hand):
    goal = objective(Views())
    images = np.arange(2 * 2 * 3).reshape(4, 1, 1, 3)  # two views of two images
    example = examples(labels=LABELS[:2], inputs=images)
    result = terms(goal, example)
    first, second = LOGITS[::2], LOGITS[1::2]
    ce = by_hand.cross_entropy(LABELS[:2], first) + by_hand.cross_entropy(LABELS[:2], second)
    assert result["ce"] == pytest.approx(ce.mean() / 2, rel=1e-5)  # comparable with val_loss
    assert float(loss(goal, example).weighted["ce"]) == pytest.approx(ce.mean(), rel=1e-5)
    expected = first[:, 0] + 10 * second[:, 0] + OTHER[::2, 1]
    assert result["c"] == pytest.approx(expected.mean(), rel=1e-5)


def test_a_method_of_one_view_beside_one_of_two_is_given_the_first():
    class Sees(Constant):
        def call(self, student, teacher, batch):
            return batch.inputs[:, 0, 0, 0] + 0 * student["logits"][:, 0]

    images = np.arange(2 * 2 * 3, dtype="float32").reshape(4, 1, 1, 3)  # two views of two images
    result = terms(objective(Views(), Sees(name="s")), examples(labels=LABELS[:2], inputs=images))
    assert result["s"] == (0 + 6) / 2


def test_what_a_method_cannot_work_with_is_refused():
    class Ids(Constant):
        needs_ids = True

    with pytest.raises(ValueError, match=r"\['ids'\] need the id of each example, and a ba"):
        loss(objective(Ids(name="ids")))
    loss(objective(Ids(name="ids")), examples(ids=np.arange(4)))

    class Whole(Constant):
        needs_whole_batch = True

    goal = objective(Whole(name="sp"))
    with pytest.raises(ValueError, match=r"\['sp'\] compare the examples of a batch"):
        loss(goal, examples(sample_weight=np.ones(4)))
    loss(goal)


@pytest.mark.parametrize("names", [("kd", "kd"), ("ce",), ("loss",)])
def test_names_must_differ(names):
    with pytest.raises(ValueError, match=r"methods are called \[.*Give each a name="):
        objective(*(Constant(name=name) for name in names))


@pytest.mark.parametrize(
    ("method", "why"),
    [("dkd", r"\['dkd'\] need integer labels"), ("mlkd", r"\['mlkd'\] compare two views")],
)
def test_methods_of_one_class_or_two_views_are_refused_for_mixed_images(method, why):
    mixed = Examples(None, np.eye(5)[LABELS], None, None, None, mixed=True)
    with pytest.raises(ValueError, match=rf"images are mixed .*{why}"):
        loss(objective(methods.get("kd"), methods.get(method)), mixed)
    assert terms(objective(methods.get("kd")), mixed)["ce"] > 0
