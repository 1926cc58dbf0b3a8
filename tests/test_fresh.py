"""Training straight from wavs: the same whatever the workers, never the same twice, nobody on both sides."""
from dataclasses import replace

import numpy as np
import pytest

import console
import dataset
import fresh
import hrir
import mixing
import model
import training
from console import BadInput
from params import Params

PARAMS = replace(Params(), azimuth_deg=(-60, 20, 45), noise_field=("diffuse", "talker"), snr_range_db=(0, 20))


@pytest.fixture(scope="module")
def audio(wavs):
    return [dataset.find_audio(wavs(name, count), "--x", 1, PARAMS)[0]
            for name, count in (("SpeechTRAIN", 5), ("NoiseTRAIN", 2))]


def feed(audio, params=PARAMS, samples=300, workers=2):
    heads = [hrir.load("mit_kemar", 16_000, mixing.directions_deg(params))]
    return fresh.WavFeed(*audio, heads, params, params.scenes, samples, workers)


def everything(batches):
    samples, labels = zip(*batches)
    return np.concatenate(samples), np.concatenate(labels)


def test_any_number_of_workers_makes_the_same_and_no_mixture_comes_twice(audio, monkeypatch):
    monkeypatch.setattr(fresh, "VALIDATION_LOTS", 32)
    made = {}
    for workers in (1, 3):
        with feed(audio, workers=workers) as wavs:
            assert wavs.training_count == 7 * 4 * 4 * 3
            made[workers] = [everything(wavs.training(epoch)) for epoch in (1, 2)] + [
                everything(wavs.validation(256)), everything(wavs.validation(100))]
            assert [len(labels) for _, labels in wavs.validation(100)] == [100] * 15 + [36]
            assert [len(labels) for _, labels in wavs.validation(64)] == [64] * 24
    for one, three in zip(made[1], made[3]):
        assert np.array_equal(one[0], three[0])
        assert np.array_equal(one[1], three[1])
    first, second, validation, again = made[1]
    assert len(first[1]) == 336
    assert {sample.tobytes() for sample in validation[0]} == {sample.tobytes() for sample in again[0]}
    contents = [sample.tobytes() for samples, _ in (first, second, validation) for sample in samples]
    assert len(set(contents)) == len(contents)
    assert sorted(set(first[1].tolist())) == [-60, 20, 45]
    assert np.mean(first[1][3:] == first[1][:-3]) < 0.6  # shuffled: the azimuths do not follow each other in turn


@pytest.mark.parametrize("batch_size", [1, 7, 48, 60, 64, 100, 1000])
@pytest.mark.parametrize("mixed", [1, 3, 8])
def test_batches_deal_out_every_row_once_from_many_lots(monkeypatch, batch_size, mixed):
    rows = [np.arange(48 * lot, 48 * lot + 48) for lot in range(10)]
    lots = [(row[:, np.newaxis], row) for row in rows]
    monkeypatch.setattr(fresh, "LOTS_MIXED", mixed)
    wavs = fresh.WavFeed.__new__(fresh.WavFeed)
    wavs._in_order = lambda keys: iter(lots[:len(keys)])
    batches = list(wavs._batches(fresh.TRAINING, 1, 10, batch_size))
    assert all(len(labels) == batch_size for _, labels in batches[:-1])
    assert all(np.array_equal(samples[:, 0], labels) for samples, labels in batches)
    assert sorted(np.concatenate([labels for _, labels in batches]).tolist()) == list(range(480))
    if batch_size == 64:
        assert len(set((batches[0][1] // 48).tolist())) == min(10, max(mixed, 2))


def test_labels_belong_to_their_samples(audio):
    with feed(audio, replace(PARAMS, snr_range_db=(30, 30))) as wavs:
        samples, labels = everything(wavs.training(1))
    ild = np.median(samples[:, 80:200, :, 1].astype(np.float32), axis=(1, 2))
    assert ild[labels == 45].min() > 2
    assert ild[labels == -60].max() < -2


def test_each_place_is_heard_from_some_of_many_azimuths(audio, monkeypatch):
    params = replace(PARAMS, azimuth_deg=tuple(range(-90, 91, 5)), snr_range_db=(40, 40), noise_field=("diffuse",))
    heads = [hrir.load("mit_kemar", 16_000, mixing.directions_deg(params))]
    monkeypatch.setattr(fresh, "_worker", {
        "sides": audio[:1] * 2, "border": None, "noise": audio[1], "places": 4, "audio": dataset.AudioCache(params),
        "mixer": mixing.Mixer(params, heads)})
    samples, labels = fresh._make_lot(fresh.TRAINING, 1, 0)
    assert len(samples) == len(labels) == 4 * fresh.NOISES * fresh.AZIMUTHS
    counts = np.unique(labels, return_counts=True)[1]
    assert set(counts) <= {4, 8, 12, 16}  # each place's azimuths in all of its noises
    assert len(set(counts)) > 1           # not the same ones for all places
    assert len(fresh._make_lot(fresh.VALIDATION, 0, 0)[1]) == 4 * fresh.NOISES * fresh.VALIDATION_AZIMUTHS
    ild = np.median(samples[:, 80:200, :, 1].astype(np.float32), axis=(1, 2))
    assert np.corrcoef(ild, labels)[0, 1] > 0.9


def test_every_other_validation_lot_is_of_the_heads_as_measured(audio, monkeypatch):
    params = replace(PARAMS, head_colour_db=6.0, rt60_s=(0.5, 0.5), snr_range_db=(60, 60), noise_field=("diotic",))
    heads = [hrir.load("mit_kemar", 16_000, mixing.directions_deg(params))]
    monkeypatch.setattr(fresh, "_worker", {})
    monkeypatch.setattr(fresh.signal, "signal", lambda *_: None)
    monkeypatch.setattr(fresh, "_end_with", lambda parent: None)
    fresh._begin_worker(audio[:1] * 2, None, audio[1], heads, params, 4)
    ild = {}
    for side in (fresh.TRAINING, fresh.VALIDATION):
        for number in range(4):
            samples, labels = fresh._make_lot(side, 0, number)
            ild[side, number] = np.median(samples[labels == 45][:, 20:200, :, 1].astype(np.float32), axis=2)
    varies = {key: each.std(axis=0).mean() for key, each in ild.items()}  # from place to place
    as_measured = [varies.pop((fresh.VALIDATION, number)) for number in (1, 3)]
    assert max(as_measured) < 0.5 * min(varies.values())


def test_another_seed_makes_another_epoch(audio):
    made = []
    for seed in (0, 1):
        with feed(audio, replace(PARAMS, seed=seed)) as wavs:
            made.append(next(iter(wavs.training(1)))[0])
    assert not np.array_equal(*made)


def test_no_speech_file_is_on_both_sides(audio):
    (training_files, validation_files), border = fresh._sides(audio[0], PARAMS)
    assert border is None
    assert len(validation_files) == 1
    assert not {a.sha256 for a in training_files} & {a.sha256 for a in validation_files}


def test_a_single_file_is_split_by_time(audio, capsys):
    alone = [audio[0][:1], audio[1]]
    _, border = fresh._sides(alone[0], PARAMS)
    assert "validation keeps what is said after" in capsys.readouterr().err
    fresh._worker.update(sides=[alone[0], alone[0]], border=border, audio=dataset.AudioCache(PARAMS),
                         mixer=mixing.Mixer(PARAMS, [hrir.load("mit_kemar", 16_000, PARAMS.circle_deg)]))
    sides = [fresh._clip(side, np.random.default_rng(0))[1].starts for side in (fresh.TRAINING, fresh.VALIDATION)]
    fresh._worker.clear()
    assert sides[0].max() + PARAMS.excerpt_length <= border <= sides[1].min()


def test_a_single_short_file_is_refused(write):
    path = write("short.wav", np.random.default_rng(0).standard_normal(20_000) * 0.1)
    with pytest.raises(BadInput, match="only speech file and too short"):
        fresh._sides([dataset.Audio(path, "short.wav", "x", 1)], PARAMS)


def test_a_resumed_run_ends_as_an_undisturbed_one(audio, tmp_path, monkeypatch):
    monkeypatch.setattr(fresh, "VALIDATION_LOTS", 16)
    folders = [console.folder_for_output(tmp_path / name) for name in ("whole", "cut")]
    with feed(audio, samples=200) as wavs:
        training.fit(wavs, 2, folders[0], resume=False)
        real_train, epochs_begun = training._train_epoch, []

        def killed_in_epoch_2(*args):
            epochs_begun.append(args[2])
            if args[2] == 2:
                raise KeyboardInterrupt
            return real_train(*args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training, "_train_epoch", killed_in_epoch_2)
            with pytest.raises(KeyboardInterrupt):
                training.fit(wavs, 2, folders[1], resume=False)
    with feed(audio, samples=200, workers=1) as wavs:
        training.fit(wavs, 2, folders[1], resume=True)
    ends = [model.Network.load(folder / "last.keras").keras_model.get_weights() for folder in folders]
    for one, two in zip(*ends, strict=True):
        assert np.array_equal(one, two)
    with feed(audio, replace(PARAMS, snr_range_db=(0, 10)), samples=200) as wavs:
        with pytest.raises(BadInput, match="cannot be resumed"):
            training.fit(wavs, 3, folders[1], resume=True)
