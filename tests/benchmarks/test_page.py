"""ACCURACY.md: strangers come first, and of several heads stand the mean and the worst."""
import numpy as np
import pytest

from benchmarks import accuracy, page


def row(table, head, system="model", snr_db=20.0, variant="", **figures):
    """A row as accuracy.read_figures gives it."""
    return dict.fromkeys(accuracy.CSV_COLUMNS, np.nan) | {
        "table": table, "head": head, "system": system, "variant": variant, "noise_field": "diffuse", "snr_db": snr_db,
        "duration_s": 1.02} | figures


def cells(text, *begins):
    """The cells of the first line of a Markdown table that begins with those given."""
    for line in text.splitlines():
        found = [cell.strip() for cell in line.strip("|").split("|")]
        if found[:len(begins)] == list(begins):
            return found[len(begins):]
    raise AssertionError(f"no line begins with {begins}")


PEOPLE = [row("people", str(number), system, snr_db, within_5_deg_percent=float(number), mae_deg=number / 10,
              inside_stated_68_percent=60.0, inside_stated_95_percent=90.0)
          for number in range(1, 21) for system in ("model", "likelihood") for snr_db in (0.0, 20.0)]


def test_of_many_heads_stand_the_mean_the_median_the_worst_tenth_and_the_worst():
    text = page.page(PEOPLE, {})
    assert cells(text, "model", "mean") == ["10.5", "10.5", "1.05", "1.05"]
    assert cells(text, "likelihood", "median head") == ["10.5", "10.5", "1.05", "1.05"]
    assert cells(text, "model", "worst tenth") == ["1.5", "1.5", "1.95", "1.95"]     # of 20 heads two
    assert cells(text, "model", "worst head") == ["1.0", "1.0", "2.00", "2.00"]
    assert cells(text, "model", "95 %", "mean") == ["90", "90"]


def test_the_worst_tenth_is_at_least_one_head():
    assert page.worst_tenth(np.array([3.0, 1.0, 2.0]), "within_5_deg_percent") == 1
    assert page.worst_tenth(np.array([3.0, 1.0, 2.0]), "mae_deg") == 3


def test_strangers_come_before_mit_kemar():
    one_head = {f"{key}{end}": 1.0 for key in ("within_5_deg_percent", "mae_deg") for end in ("", "_interval")}
    rows = [row("noise", "MIT KEMAR", snr_db=snr_db, **one_head) for snr_db in (0.0, 20.0)]
    text = page.page([*rows, *PEOPLE], {})
    assert text.index("people's heads") < text.index("## Noise, MIT KEMAR")


def test_microphones_lose_points_against_equal_ones_by_head():
    rows = [row("microphones", head, system, variant=gain, within_5_deg_percent=within)
            for system in ("track", "model")
            for head, shares in (("a", (80.0, 90.0, 70.0)), ("b", (60.0, 80.0, 81.0)))
            for gain, within in zip(("-3 dB", "+0 dB", "+3 dB"), shares)]
    text = page.page(rows, {})
    assert cells(text, "track", "mean") == ["85.0", "15.0", "9.5"]
    assert cells(text, "track", "worst head") == ["80.0", "20.0", "20.0"]


def test_sounds_are_told_one_by_one_and_by_their_band():
    rows = [row("sounds", head, variant=variant, within_5_deg_percent=within, mae_deg=1.0,
                inside_stated_95_percent=50.0)
            for variant, head, within in (("broad-band: door", "a", 100.0), ("broad-band: door", "b", 80.0),
                                          ("broad-band: drum", "a", 90.0), ("broad-band: drum", "b", 50.0),
                                          ("narrow-band: bird", "a", 40.0), ("narrow-band: bird", "b", 20.0))]
    text = page.page(rows, {})
    assert cells(text, "**all broad-band**") == ["80.0", "65.0", "1.00", "50", "50"]
    assert cells(text, "narrow-band: bird") == ["30.0", "20.0", "1.00", "50", "50"]


def test_recordings_and_noise_alone_have_their_tables():
    rows = [row("recordings", "all", "track", np.nan, samples=200.0, answered_percent=50.0, within_5_deg_percent=40.0,
                within_10_deg_percent=45.0, median_deg=1.5, mae_deg=2.0, inside_stated_68_percent=61.0),
            *(row("alone", head, "track", -np.inf, variant=noise, answered_percent=share)
              for head, noise, share in (("a", "car", 1.0), ("a", "sea", 3.0), ("b", "car", 5.0), ("b", "sea", 11.0)))]
    text = page.page(rows, {})
    assert cells(text, "all", "track") == ["200", "50.0", "40.0", "45.0", "80.0", "90.0", "1.50", "2.00", "61"]
    assert cells(text, "mean") == ["5.0", "3.0", "7.0"]
    assert cells(text, "worst head") == ["8.0", "5.0", "11.0"]


def test_several_talkers_have_a_table_by_condition_count_and_distance():
    def of(variant, system, duration_s=2.02, **figures):
        return row("talkers", "MIT KEMAR", system, variant=variant, duration_s=duration_s, samples=60.0, **figures)

    rows = [*(of(variant, "model", count_right_percent=share) for variant, share in
              (("nobody", 90.0), ("1 talker", 80.0), ("2 talkers, equal", 40.0))),
            of("2 talkers, equal", "model", 1.02, count_right_percent=0.0, all_within_5_deg_percent=33.3),
            of("2 talkers, equal, 15 to 30 degrees", "model", 1.02, all_within_5_deg_percent=11.1),
            of("2 talkers, equal, 60 or more degrees", "model", 1.02, all_within_10_deg_percent=22.2)]
    text = page.page(rows, {})
    assert cells(text, "MIT KEMAR", "2.02 s", "nobody", "model") == ["60", "", "", "90.0", "", "", ""]
    assert cells(text, "MIT KEMAR", "1.02 s", "2 talkers, equal", "model")[:2] == ["60", "33.3"]
    assert cells(text, "MIT KEMAR", "70.0") == []
    by_distance = text[text.index("by their distance"):]
    assert cells(by_distance, "MIT KEMAR", "1.02 s", "2 talkers, equal", "model") == ["11.1", "", "", "", "", "22.2"]


def test_every_part_names_its_command_and_its_model():
    run = {"command": "python a --b", "measured_on": "2026-11-28", "audio": "5 files", "model": "0123456789abcdef"}
    text = page.page(PEOPLE, {"people": run})
    assert cells(text, "people") == ["`python a --b`", "2026-11-28", "5 files", "0123456789ab"]


@pytest.mark.slow
def test_the_picture_of_the_heads_is_drawn(tmp_path):
    assert page.draw_pictures(PEOPLE, tmp_path) == 1
    assert (tmp_path / "accuracy_people.png").stat().st_size > 5000
