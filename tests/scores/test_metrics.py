"""The figures against cases worked out by hand."""
import numpy as np
import pytest

from scores import metrics


def test_hand_worked_case():
    score = metrics.score([0, 5.4, -12, 95], [0, 0, 0, 90])
    assert score["within_5_deg_percent"] == 75   # 5.4 rounds to 5, 95 differs by 5, -12 is wrong
    assert score["within_10_deg_percent"] == 75
    assert score["mae_deg"] == pytest.approx((0 + 5.4 + 12 + 5) / 4)
    assert score["median_deg"] == pytest.approx(5.2)
    assert score["rmse_deg"] == pytest.approx(np.sqrt((5.4 ** 2 + 144 + 25) / 4))
    assert score["bias_deg"] == pytest.approx((5.4 - 12 + 5) / 4)
    assert score["samples"] == 4


@pytest.mark.parametrize(("predicted", "right"), [(5.49, True), (5.51, False), (-5.49, True), (-5.51, False)])
def test_rounding_rule(predicted, right):
    assert metrics.correct(np.array([predicted]), np.array([0]), 5)[0] == right


def test_groups_add_up_and_are_sorted():
    rng = np.random.default_rng(0)
    true = rng.choice(np.arange(-90, 91, 5), 500).astype(np.float32)
    predicted = true + rng.normal(0, 5, 500)
    groups = metrics.score_by(true, predicted, true)
    assert list(groups) == [f"{a}" for a in range(-90, 91, 5)]
    assert sum(group["samples"] for group in groups.values()) == 500
    mean = sum(group["mae_deg"] * group["samples"] for group in groups.values()) / 500
    assert mean == pytest.approx(metrics.score(predicted, true)["mae_deg"])


def test_the_share_inside_what_is_stated():
    true_deg, predicted_deg = np.zeros(4), np.array([0.5, -2.0, 3.0, 40.0])
    figures = metrics.score(predicted_deg, true_deg, (np.full(4, 2.0), np.array([1.0, 1.0, 5.0, 50.0])))
    assert figures["inside_stated_68_percent"] == 50
    assert figures["inside_stated_95_percent"] == 75
    assert "inside_stated_68_percent" not in metrics.score(predicted_deg, true_deg)
    by = metrics.score_by(np.array(["a", "a", "b", "b"]), predicted_deg, true_deg, (np.full(4, 2.0), np.full(4, 3.0)))
    assert [by[g]["inside_stated_68_percent"] for g in "ab"] == [100, 0]


def test_dropping_the_least_sure_keeps_the_right_ones():
    true_deg, half_width_deg = np.zeros(100), np.arange(100.0)[::-1]
    predicted_deg = np.where(half_width_deg < 60, 0, 50)  # the 60 surest are right
    kept_percent, correct_percent = metrics.kept_curve(predicted_deg, true_deg, half_width_deg, 5)
    assert kept_percent[-1] == 100
    assert correct_percent[-1] == 60
    assert np.all(correct_percent[kept_percent <= 60] == 100)
    assert np.all(np.diff(kept_percent) > 0)


def test_each_group_is_scored_by_its_own_rows():
    rng = np.random.default_rng(0)
    groups, predicted_deg, true_deg = rng.choice(["b", "a", "cc"], 50), rng.normal(0, 9, 50), np.zeros(50)
    stated_deg = [rng.uniform(0, 9, 50), rng.uniform(0, 20, 50)]
    by_group = metrics.score_by(groups, predicted_deg, true_deg, stated_deg)
    assert list(by_group) == ["a", "b", "cc"]
    for group, figures in by_group.items():
        rows = groups == group
        assert figures == metrics.score(predicted_deg[rows], true_deg[rows], [each[rows] for each in stated_deg])
