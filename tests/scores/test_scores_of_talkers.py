"""Scores of several talkers, on answers whose figures are worked out by hand."""
import numpy as np
import pytest

from scores import metrics, report, tables, talkers

NAN = np.nan
TALKERS = np.array([[0, 40, NAN], [-30, NAN, NAN], [NAN, NAN, NAN], [10, 20, 80]])
LEVELS = np.array([[0, -2, NAN], [0, NAN, NAN], [NAN, NAN, NAN], [0, -1, -7.5]])
ANSWERS = np.array([[36, 5.5, NAN], [-30, 60, NAN], [NAN, NAN, NAN], [18, NAN, NAN]])


def test_hand_worked_case():
    """Errors: 5.5 and 4; 0 beside a phantom at 60; nobody, rightly; of three talkers one, 2 off."""
    figures = talkers.score(ANSWERS, TALKERS, single_deg=[36, -30, 5, 14])
    assert figures == {
        "samples": 4, "count_right_percent": 50.0, "found_within_5_deg_percent": 50.0,
        "found_within_10_deg_percent": pytest.approx(100 * 4 / 6), "all_within_5_deg_percent": pytest.approx(100 / 3),
        "all_within_10_deg_percent": pytest.approx(200 / 3), "nobody_percent": 20.0,
        "single_within_5_deg_of_loudest_percent": pytest.approx(200 / 3),
        "single_within_5_deg_of_any_percent": 100.0}


def test_nothing_is_rounded():
    assert metrics.correct([5.4], [0], 5).all()
    assert talkers.score([[5.4]], [[0]])["found_within_5_deg_percent"] == 0


def test_each_answer_is_one_talker_and_the_sum_of_the_differences_is_least():
    """25 is nearer to 20; but then 0 would get 12, whom 20 can have no longer."""
    np.testing.assert_array_equal(talkers.errors([[12, 25]], [[20, 0]]), [[5, 12]])
    np.testing.assert_array_equal(talkers.errors([[10, NAN]], [[10, 10]]), [[0, np.inf]])  # one answer is not two


def test_an_answer_beside_a_talker_is_somebody_though_another_is_nearer():
    figures = talkers.score([[0, 9, 11]], [[0, NAN, NAN]])
    assert figures["nobody_percent"] == pytest.approx(100 / 3)


def test_the_order_of_answers_does_not_matter():
    rng = np.random.default_rng(0)
    answers, truth = rng.uniform(-90, 90, (50, 4)), rng.uniform(-90, 90, (50, 3))
    answers[rng.random(answers.shape) < 0.3] = NAN
    assert talkers.score(answers, truth) == talkers.score(answers[:, ::-1], truth)


def test_noise_alone_has_a_count_and_phantoms_and_nothing_else():
    assert talkers.score([[NAN], [3]], [[NAN], [NAN]], [0, 3]) == {
        "samples": 2, "count_right_percent": 50.0, "nobody_percent": 100.0}


def test_samples_are_sorted_by_count_distance_and_weakest_talker():
    figures = talkers.score_groups(ANSWERS, TALKERS, LEVELS)
    assert {by: {name: each["samples"] for name, each in figures[by].items()} for by in talkers.GROUPS} == {
        "by_talkers": {"0": 1, "1": 1, "2": 1, "3": 1}, "by_least_distance_deg": {"under 15": 1, "30 to 60": 1},
        "by_least_level_db": {"0 to -3": 1, "below -6": 1}}
    assert figures["by_talkers"]["2"] == talkers.score(ANSWERS[:1], TALKERS[:1])


def test_single_talkers_have_no_distance():
    figures = talkers.score_groups(ANSWERS[1:3], TALKERS[1:3, :1], LEVELS[1:3, :1])
    assert figures["by_least_distance_deg"] == figures["by_least_level_db"] == {}


def test_the_tables_leave_blank_what_there_is_none_of():
    of_talkers = {name: talkers.score_groups(ANSWERS, TALKERS, LEVELS, ANSWERS[:, 0]) for name in ("best", "<GCC>")}
    lines = tables.talker_lines(of_talkers)
    rows = {tuple(line.split()[:2]): line.split()[2:] for line in lines if "best" in line}
    assert rows["0", "best"] == ["100.0", "1"]
    assert rows["3", "best"] == ["33.3", "33.3", "0.0", "0.0", "0.0", "0.0", "0.0", "100.0", "1"]
    page = report.html("", {"best": metrics.score([0], [0]) | {by: {} for by in tables.GROUPS}}, [], [], [], 16_000, "",
                       of_talkers)
    assert page.count("&lt;GCC&gt;") == 1 + 4 + 2 + 2
    assert "<h2>Several talkers</h2>" in page
    assert "<td>30 to 60</td>" in page


def test_every_talker_of_a_sample_is_marked():
    clip = report.AudibleSample(-45.0, -40.0, 3.0, 6.0, "a", "b", None, "gone", others_deg=(20.0, 60.0))
    page = report.html("", {"best": metrics.score([0], [0]) | {by: {} for by in tables.GROUPS}}, [], [clip], [], 16_000,
                       "")
    assert "true -45°, others 20°, 60°, answer -40° ± 3" in page
    assert page.count('class="true"') == 3
