"""tools/write_card.py: every figure comes from a file, and one that no file holds is not measured."""
import json
import re
import string
from dataclasses import replace

import numpy as np
import pytest
from helpers import PARAMS, one_sentence, run_script

from benchmarks import accuracy
from console import BadInput, sha256_of
from network import likelihood
from network.model import Network
from tools import write_card

PERSON = [8.0, 20.0, 95.0]      # within 5 degrees of three people
HISTORY = [{"epoch": epoch, "loss": 3.0, "validation_loss": loss, "validation_within_5_deg_percent": 70.0 + epoch,
            "seconds": 100.0} for epoch, loss in enumerate((3.0, 2.5, 2.75), 1)]
RUN = {"samples": 12_345, "speech_files": 7, "noise": ["rain.wav", "car.wav"], "data": "0123456789abcdef",
       "processors": 2, "float16": {"samples": 333, "median_deg": 0.0002, "largest_deg": 0.001}}


def row(table, head, system="model", snr_db=20.0, variant="", **figures):
    """A row as accuracy.read_figures gives it."""
    return dict.fromkeys(accuracy.CSV_COLUMNS, np.nan) | {
        "table": table, "head": head, "system": system, "variant": variant, "noise_field": "diffuse", "snr_db": snr_db,
        "duration_s": 1.02} | figures


ROWS = [*(row("people", str(number), within_5_deg_percent=within, mae_deg=number, inside_stated_68_percent=60.0,
              inside_stated_95_percent=90.0) for number, within in enumerate(PERSON)),
        *(row("people", str(number), "likelihood", within_5_deg_percent=50.0) for number in range(3)),
        row("room", "surrey_room_D", snr_db=6.0, within_5_deg_percent=33.3),
        row("room", "surrey_room_D", snr_db=6.0, variant="levelled", within_5_deg_percent=44.4),
        row("noise", "MIT KEMAR", snr_db=0.0, noise_field="diotic", within_5_deg_not_rounded_percent=99.06),
        row("talkers", "MIT KEMAR", variant="2 talkers, equal", all_within_10_deg_percent=22.2),
        row("talkers", "MIT KEMAR", "likelihood", variant="2 talkers, equal", duration_s=2.02,
            all_within_10_deg_percent=77.7, count_right_percent=66.6),
        row("behind", "TU Berlin KEMAR", snr_db=np.inf, variant="behind", within_5_deg_percent=88.8)]


def values_of(rows):
    return write_card.figure_values(write_card.Figures(rows))


@pytest.fixture(scope="module")
def network():
    """A network that learnt nothing, and claims to be made with people."""
    made_with = {"azimuth_deg": list(range(-90, 91, 5)), "snr_range_db": [-12.0, 30.0], "noise_field": ["diffuse"],
                 "hrir_set": ["mit_kemar", "cipic_003", "cipic_008"], "hrir_weights": [3.0, 3.5, 3.5]}
    return Network(PARAMS, made_with, likelihood.template_cues(PARAMS))


@pytest.fixture
def folder(network, tmp_path):
    """A folder with what tools/make_model.py writes and the benchmark's figures of it."""
    network.save(tmp_path / "best.keras")
    (tmp_path / "run.json").write_text(json.dumps(RUN))
    lines = [",".join(HISTORY[0]), *(",".join(map(str, line.values())) for line in HISTORY)]
    (tmp_path / "history.csv").write_text("\n".join(lines) + "\n")
    run = {"command": "", "measured_on": "", "audio": "", "model": sha256_of(tmp_path / "best.keras")}
    accuracy.write_figures(ROWS, dict.fromkeys(accuracy.PARTS, run), tmp_path)
    return tmp_path


def test_figures_are_the_mean_the_median_and_the_worst_tenth_of_people():
    values = values_of(ROWS)
    assert values["people"] == "3 people"
    assert values["people_20"] == "41.0; 20.0; 8.0"
    assert values["people_20_likelihood"] == "50.0; 50.0; 50.0"
    assert values["people_mae"] == "1.0 deg"
    assert values["inside_people_20"] == "60 / 90"


def test_figures_stand_in_their_places():
    values = values_of(ROWS)
    assert values["room_d"] == "not measured / 33.3 / not measured"      # not that of the levelled room
    assert values["diotic_plain"] == "not measured / 99.1 / not measured"
    assert values["behind"] == "not measured, not measured, 88.8"
    assert values["talkers"] == "not measured"                           # that of 1.02 s is another
    assert values["talkers_likelihood"] == "77.7 / not measured"
    assert values["talkers_count_likelihood"] == "not measured / not measured / 66.6"


def test_without_figures_everything_is_not_measured():
    values = values_of([])
    assert values.pop("people") == "people"
    assert set(values.values()) == {"not measured"}


def test_two_rows_of_one_condition_are_refused():
    with pytest.raises(BadInput, match=r"2 rows of room, surrey_room_D, 6 dB, model"):
        values_of([*ROWS, row("room", "surrey_room_D", snr_db=6.0, within_5_deg_percent=1.0)])


def test_figures_of_another_file_are_not_the_model_s_but_the_likelihood_s_are_kept():
    runs = {part: {"model": "this"} for part in accuracy.PARTS} | {"people": {"model": "other"}}
    rows, stale = write_card.of_one_model(ROWS, runs, "this")
    assert stale == ["people"]
    values = values_of(rows)
    assert (values["people_20"], values["people_20_likelihood"]) == ("not measured", "50.0; 50.0; 50.0")
    assert values["room_d"] != "not measured"
    assert write_card.of_one_model(ROWS, {}, "this")[1] == list(accuracy.PARTS)


@pytest.mark.slow
def test_template_and_values_have_the_same_names(network):
    text = write_card.TEMPLATE.read_text(encoding="utf-8")
    names = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    assert names == set(write_card.run_values(network, HISTORY, RUN) | values_of([]))


@pytest.mark.slow
def test_the_card_says_what_the_run_stored(folder):
    run_script("tools/write_card.py", "--model", folder, "--benchmarks", folder)
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    words = re.sub(r"\s+", " ", card)
    assert "1. 12,345 mixtures asked for, 3 epochs in 5 minutes, from random weights." in words
    assert "number 2 is the one that ships" in words
    assert "On 2 processors" in words
    assert "validation loss 2.500, 72.0 %" in words
    assert "of data `0123456789abcdef`" in words
    assert "of 10 mixtures 3 through `mit_kemar`, 7 through 2 of `cipic`" in words
    assert "| `azimuth_deg` | -90 to 90 by 5 |" in card
    assert "| `snr_range_db` | -12 30 |" in card
    assert "| 3 people (LISTEN), 20 dB: mean; median head; worst tenth | 41.0; 20.0; 8.0 | 50.0; 50.0; 50.0 |" in card
    assert "CC BY 4.0" in card
    assert not re.search(r"\bnan\b|\{|\}", card)
    assert max(len(line) for line in card.splitlines() if not line.startswith("|")) <= 120


@pytest.mark.slow
def test_what_is_missing_is_named(folder, tmp_path):
    (folder / "run.json").unlink()
    told = run_script("tools/write_card.py", "--model", folder, "--benchmarks", folder, status=2).stderr
    assert "lacks history.csv or run.json" in told
    assert one_sentence(told)
    Network(replace(PARAMS, model="original")).save(folder / "best.keras")
    told = run_script("tools/write_card.py", "--model", folder, "--benchmarks", folder, status=2).stderr
    assert "holds no default network" in told
