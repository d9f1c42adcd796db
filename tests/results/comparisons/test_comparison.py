import numpy as np
import pytest

from kd_keras.results.comparisons import comparison, comparison_lines
from kd_keras.results.comparisons.comparison import MEGABYTES, MILLISECONDS, Group, Model
from kd_keras.results.metrics import statistics

IMAGES = 200


def model(right, *, seed=0, run="run", time=1.0, size=0.5, network="small", alone=None):
    """A model that is right on these images of `IMAGES`."""
    correct = np.zeros(IMAGES, bool)
    correct[right] = True
    costs = {MILLISECONDS: time, MEGABYTES: size}
    return Model(run, "student", seed, correct, 1000, costs, network, alone)


def test_a_group_of_one_seed_has_an_interval_over_images():
    (entry,) = comparison.measurements([Group("a", "student", [model(slice(0, 150))])])
    assert (entry["top1"], entry["over"], entry["seeds"]) == (0.75, "images", [0])
    assert (entry["low"], entry["high"]) == statistics.share_interval(150, 200)
    assert entry["gain"] is None


def test_a_group_of_several_seeds_has_an_interval_over_seeds_and_a_paired_gain():
    alone = [model(slice(0, count)) for count in (140, 150, 160)]
    better = (144, 152, 162)  # by 2, 1 and 1 points
    models = [
        model(slice(0, count), seed=seed, alone=alone[seed]) for seed, count in enumerate(better)
    ]
    (entry,) = comparison.measurements([Group("a", "student", models)])
    assert entry["over"] == "seeds"
    assert entry["each_top1"] == [0.72, 0.76, 0.81]
    mean, low, high = statistics.paired_interval([0.02, 0.01, 0.01])
    gain = entry["gain"]
    result = (gain["difference"], gain["low"], gain["high"])
    assert result == pytest.approx((mean, low, high))
    assert [pair["only"] for pair in gain["pairs"]] == [4, 2, 2]


def test_an_interval_of_accuracies_stays_between_0_and_1():
    models = [model(slice(0, 198)), model(slice(0, 150), seed=1)]
    (entry,) = comparison.measurements([Group("a", "student", models)])
    assert (entry["low"], entry["high"]) == (0.0, 1.0)


def test_groups_are_paired_by_seed_and_p_values_adjusted_for_all_tests():
    first = Group("first", "student", [model(slice(0, 100), seed=s) for s in (0, 1)])
    models = [model(slice(0, 110), seed=1), model(slice(0, 120), seed=0)]
    one, other = comparison.differences(
        [first, Group("more", "student", models), Group("less", "student", [model(slice(0, 99))])]
    )
    assert (one["group"], one["other"], one["over"]) == ("more", "first", "seeds")
    assert one["paired"]
    assert [pair["seeds"] for pair in one["pairs"]] == [[0, 0], [1, 1]]
    assert one["difference"] == pytest.approx(0.075)
    assert [(pair["only"], pair["only_other"]) for pair in one["pairs"]] == [(20, 0), (10, 0)]
    assert one["pairs"][0]["p"] == pytest.approx(2 * 0.5**20)
    assert one["pairs"][0]["p_holm"] == pytest.approx(3 * 2 * 0.5**20)
    assert (other["over"], other["difference"], other["pairs"][0]["p"]) == ("images", -0.005, 1.0)


@pytest.mark.parametrize("seeds", [(3, 4, 5), (2, 3, 4)])
def test_groups_of_other_seeds_are_compared_by_welch_over_all_their_models(seeds):
    first = [model(slice(0, right), seed=s) for s, right in enumerate((100, 104, 108))]
    other = [model(slice(0, 120), seed=s) for s in seeds]
    (entry,) = comparison.differences(
        [Group("first", "student", first), Group("other", "student", other)]
    )
    assert (entry["over"], entry["paired"]) == ("seeds", False)
    assert entry["seeds"] == [[*seeds], [0, 1, 2]]
    # The others have no variance: 2 degrees of freedom, whose t is 4.3027; deviation 0.02.
    half = 4.302653 * 0.02 / np.sqrt(3)
    assert entry["difference"] == pytest.approx(0.08)
    assert (entry["low"], entry["high"]) == pytest.approx((0.08 - half, 0.08 + half), abs=1e-6)
    assert [pair["seeds"] for pair in entry["pairs"]] == [[s, s] for s in seeds if s < 3]
    document = {"differences": [entry], "groups": [], "data": {"images": IMAGES}}
    (line,) = comparison_lines.verdict(document)
    assert line.startswith("other is more accurate than first (+8.0 points of top-1")
    assert line.endswith("over 3 and 3 seeds).")
    assert comparison_lines.difference_rows(entry)[0][1] == "3 / 3"


def test_one_seed_is_a_verdict_on_two_models_and_not_on_methods():
    first = Group("first", "student", [model(slice(0, 100), seed=s) for s in (0, 1)])
    (entry,) = comparison.differences([first, Group("b", "student", [model(slice(0, 150))])])
    (line,) = comparison_lines.verdict(
        {"differences": [entry], "groups": [], "data": {"images": IMAGES}}
    )
    assert line.startswith("b is more accurate than first with seed 0 (+25.0 points")
    assert line.endswith("Repeat with more seeds (--seed) to compare the methods.")


def test_groups_without_a_common_seed_are_compared_over_images():
    groups = [Group(name, "student", [model(slice(0, 100), seed=s)]) for s, name in enumerate("ab")]
    (entry,) = comparison.differences(groups)
    assert (entry["over"], entry["pairs"][0]["seeds"]) == ("images", [1, 0])


def test_one_network_has_one_time_and_the_front_follows():
    entries = comparison.measurements(
        [
            Group("good", "student", [model(slice(0, 150), time=3.0)]),
            Group("bad", "student", [model(slice(0, 140), time=1.0)]),
            Group("teacher", "teacher", [model(slice(0, 180), time=9.0, network="large", size=4)]),
            Group("untimed", "student", [model([0], time=None, size=None, network=None)]),
        ]
    )
    assert [entry[MILLISECONDS] for entry in entries] == [2.0, 2.0, 9.0, None]
    assert [entry["front"][MILLISECONDS] for entry in entries] == [True, False, True, False]
    assert [entry["front"][MEGABYTES] for entry in entries] == [True, False, True, False]
