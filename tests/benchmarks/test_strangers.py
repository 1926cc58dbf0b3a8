"""The strangers of the accuracy benchmark: heads as measured, a talk as asked for, tracks scored by hand."""
from argparse import Namespace
from itertools import islice, product

import numpy as np
import pytest
import sofar
from helpers import PARAMS

import hrir
from benchmarks import accuracy, conditions, strangers
from network import likelihood
from network.answers import Answer
from network.tracking import Track
from shards.audio import AudioCache, find_audio

ARGS = Namespace(model="anywhere")


@pytest.fixture
def people(tmp_path):
    """Two people, MIT KEMAR's size and a tenth larger, every 15 degrees at 16 kHz, and from behind: list of Head."""
    head = hrir.load("mit_kemar", PARAMS.sample_rate_hz, range(-90, 91, 15))
    azimuth_deg = np.append(head.azimuth_deg, [-135.0, 135.0])
    for name, size in (("one", 1.0), ("two", 1.1)):
        response = hrir.resized(head, size, PARAMS.sample_rate_hz)
        sofa = sofar.Sofa("SimpleFreeFieldHRIR")
        sofa.Data_IR = np.concatenate((response, response[[3, 9]]))
        sofa.Data_SamplingRate = PARAMS.sample_rate_hz
        sofa.SourcePosition = np.stack([-azimuth_deg % 360, np.zeros(15), np.ones(15)], axis=1)
        sofar.write_sofa(str(tmp_path / f"{name}.sofa"), sofa)
    return strangers.find_people(tmp_path)


@pytest.fixture
def audio(demo):
    """Speech and noise of the demo: two lists of Audio."""
    return [find_audio(demo / name, "--audio", PARAMS.excerpt_length, PARAMS)[0]
            for name in ("SpeechTEST", "NoiseTEST")]


class FakeNetwork:
    """Always answers 10 degrees right, sure of 2 and 4 degrees, and keeps the templates it is to compare with."""

    made = []

    def __init__(self):
        self.templates = []
        self.made.append(self)

    def compare_with(self, template_cues):
        """Keep cues (class, bin, 2)."""
        self.templates.append(template_cues)

    def answer(self, samples):
        """Answer (n, bin, frame, 2)."""
        return Answer(*(np.full(len(samples), value) for value in (10.0, 2.0, 4.0)))


def a_track(azimuth_deg, half_width_deg, level_db):
    """A Track of rows a tenth of a second apart."""
    rows = [np.asarray(each, float) for each in (azimuth_deg, half_width_deg, level_db)]
    return Track(np.arange(len(rows[0])) / 10, *rows, np.zeros(len(rows[0]), bool))


def test_people_are_heard_from_where_they_were_measured_and_nowhere_else(people):
    condition = people[0].condition("people", (0,))
    assert [head.name for head in people] == ["one", "two"]
    assert condition.azimuth_deg == condition.circle_deg == tuple(range(-90, 91, 15))
    as_stored = hrir.read(people[0].source)
    is_in_front = np.abs(as_stored.azimuth_deg) <= 90
    np.testing.assert_array_equal(conditions.head_of(condition, people[0].source, PARAMS).response,
                                  as_stored.response[is_in_front].astype(np.float32))


def test_every_person_is_compared_with_the_templates_of_that_very_head(people, audio, monkeypatch):
    monkeypatch.setattr(conditions, "load_model", lambda args: FakeNetwork())
    monkeypatch.setattr(strangers, "MIXTURES_OF_PERSON", 1)
    FakeNetwork.made.clear()
    rows = [row for some in strangers.measure_people(people, *audio, ARGS, PARAMS) for row in some]
    assert {(row["head"], row["system"], row["snr_db"]) for row in rows} == set(product(
        ("one", "two"), ("model", "likelihood", "model, own head", "likelihood, own head"), strangers.PEOPLE_SNRS_DB))
    shipped, own = FakeNetwork.made
    assert shipped.templates == []
    for head, templates in zip(people, own.templates):
        np.testing.assert_array_equal(templates, likelihood.template_cues(PARAMS, head.source))
    of_model = next(row for row in rows if row["system"] == "model")
    assert of_model["mae_deg"] == pytest.approx(np.abs(10 - np.arange(-90, 91, 15)).mean())
    assert of_model["inside_stated_95_percent"] == 0


def test_over_the_heads_every_talker_meets_every_noise(audio):
    speech, noise = audio
    talkers = {conditions.speaker_of(s.name) for s in speech}
    pairs = [list(strangers.pairs_of(number, 3, speech, noise)) for number in range(len(talkers) * len(noise))]
    assert {(conditions.speaker_of(s.name), n.name) for some in pairs for s, n in some} == {
        (talker, n.name) for talker in talkers for n in noise}
    assert all(len({conditions.speaker_of(s.name) for s, _ in some}) == min(3, len(talkers)) for some in pairs)


def test_a_whistle_is_narrow_band_even_where_it_sweeps_and_noise_is_not():
    seconds = np.arange(32_000) / 16_000
    sweep = np.sin(2 * np.pi * (500 * seconds + 800 * seconds ** 2))          # 0.5 to 3.7 kHz
    noise = np.random.default_rng(0).standard_normal(32_000)
    assert strangers.is_narrow(sweep, PARAMS)
    assert not strangers.is_narrow(noise, PARAMS)
    assert not strangers.is_narrow(sweep + 0.3 * noise, PARAMS)


def test_every_sound_is_heard_at_every_head_and_named_by_its_band(people, audio, write, tmp_path, monkeypatch):
    seconds = np.arange(32_000) / 16_000
    write("whistle.wav", 0.1 * np.sin(2 * np.pi * 2000 * seconds))
    write("hiss.wav", np.random.default_rng(0).normal(0, 0.1, 32_000))
    monkeypatch.setattr(conditions, "load_model", lambda args: FakeNetwork())
    sounds = accuracy.find_sounds(Namespace(sounds=tmp_path), PARAMS)
    rows = [row for some in strangers.measure_sounds(people, sounds, audio[1], ARGS, PARAMS) for row in some]
    assert [(row["variant"], row["head"]) for row in rows] == list(product(
        ("broad-band: hiss", "narrow-band: whistle"), ("one", "two")))


def test_a_talk_has_pauses_and_its_snr_is_that_while_the_talker_is_active(people, audio, monkeypatch):
    def talk_at(snr_db):
        cache = AudioCache(PARAMS)
        monkeypatch.setattr(strangers, "SNR_DB", snr_db)
        talk = strangers.talk_at_ears(np.random.default_rng(0), people[0], cache.speech(audio[0][0]),
                                      cache.noise(audio[1][0]), PARAMS)
        assert talk.shape == (13, 2, 80_000)
        assert np.abs(talk).max() == pytest.approx(strangers.PEAK)
        return talk

    active, pause = np.r_[8_000:36_800, 51_200:72_000], slice(0, 8_000)
    clean, noisy = talk_at(100), talk_at(0)
    assert np.square(clean[:, :, pause]).mean() < 1e-8 * np.square(clean[:, :, active]).mean()
    np.testing.assert_allclose(noisy[:, :, pause], noisy[:1, :, pause].repeat(13, axis=0), atol=1e-6)  # the same noise
    front, noise = clean[6][:, active], noisy[6][:, active]
    front = front * np.sum(front * noise) / np.sum(front * front)             # as loud as it is in the noise
    assert 10 * np.log10(np.square(front).mean() / np.square(noise - front).mean()) == pytest.approx(0, abs=0.5)


def test_rows_without_an_answer_are_wrong_and_have_no_error():
    track = a_track([31, np.nan, 38, 30, 30], [2, np.nan, 3, 1, 1], [-20, -21, -25, -22, -60])
    error, half_width_deg = strangers.track_errors(track, 30.0)
    np.testing.assert_array_equal(error, [1, np.nan, 8, 0])                   # the last row is a pause
    figures = strangers.figures_of([(error[:2], half_width_deg[:2]), (error[2:], half_width_deg[2:])])
    assert (figures["samples"], figures["answered_percent"]) == (4, 75)
    assert (figures["within_5_deg_percent"], figures["within_10_deg_percent"]) == (50, 75)
    assert (figures["mae_deg"], figures["median_deg"], figures["bias_deg"]) == (3, 1, 3)
    assert figures["inside_stated_68_percent"] == pytest.approx(200 / 3)


def test_a_track_without_any_answer_has_shares_alone():
    figures = strangers.figures_of([(np.full(3, np.nan), np.full(3, np.nan))])
    assert figures == {"samples": 3, "answered_percent": 0, "within_5_deg_percent": 0, "within_10_deg_percent": 0}


def test_recordings_are_scored_beside_the_peer_row_by_row(tmp_path, write, monkeypatch):
    write("clip.wav", np.random.default_rng(0).normal(0, 0.1, (16_000, 2)))
    (tmp_path / "clip_truth.csv").write_text("time_s,azimuth_deg,peer_azimuth_deg\n0,0,6\n0.4,40,46\n")
    monkeypatch.setattr(strangers, "localise", lambda *given: a_track([0, 12, np.nan, 30], [1] * 4, [-20] * 4))
    clip, together = strangers.measure_recordings(tmp_path, ARGS, PARAMS)
    track, peer = clip
    assert (track["answered_percent"], track["within_5_deg_percent"]) == (75, 75)   # true: 0, 10, 20, 30
    assert track["mae_deg"] == pytest.approx(2 / 3)
    assert (peer["answered_percent"], peer["within_5_deg_percent"], peer["within_10_deg_percent"]) == (100, 0, 100)
    assert "inside_stated_68_percent" not in peer
    assert [row["head"] for row in together] == ["all", "all"]
    (tmp_path / "clip_truth.csv").write_text("time,azimuth\n0,0\n")
    with pytest.raises(strangers.BadInput, match="lacks columns of numbers"):
        list(strangers.measure_recordings(tmp_path, ARGS, PARAMS))


def test_microphones_get_their_gain_and_noise_alone_is_counted(people, audio, monkeypatch):
    heard = []

    def fake(ears, *given):
        heard.append(np.diff(10 * np.log10(np.square(ears).mean(axis=1)))[0])
        return a_track([10, np.nan, np.nan, np.nan], [1] * 4, [-20] * 4)

    monkeypatch.setattr(strangers, "localise", fake)
    monkeypatch.setattr(conditions, "load_model", lambda args: FakeNetwork())
    front = people[0]._replace(azimuth_deg=(0.0,))
    monkeypatch.setattr(strangers, "MIXTURES", 1)
    rows, = islice(strangers.measure_microphones([front], *audio, ARGS, PARAMS), 1)
    assert [(row["variant"], row["system"]) for row in rows] == [
        (f"{gain_db:+} dB", system) for gain_db in (-6, -3, 0, 3, 6) for system in ("track", "model")]
    np.testing.assert_allclose(heard, (-6, -3, 0, 3, 6), atol=0.6)
    alone, = strangers.measure_noise_alone([front], audio[1], ARGS, PARAMS)
    assert [row["answered_percent"] for row in alone] == [25]
    assert alone[0]["samples"] == 4 * strangers.STRETCHES
