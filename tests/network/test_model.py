"""The network: its size, its answer, its files; and that training repeats and resumes exactly."""
import csv
import json
import shutil
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import baseline
import console
import dataset
import model
import readout
import training
from console import BadInput
from params import Params

PARAMS = Params()
ORIGINAL = replace(PARAMS, model="original", loss="mse")


def samples(count, seed=0):
    return np.random.default_rng(seed).normal(0, 1, (count, *PARAMS.sample_shape)).astype(np.float16)


TEMPLATES = baseline.unit_vectors(baseline.template_cues(PARAMS))


@pytest.fixture(scope="module")
def network():
    return model.Network(PARAMS, templates=TEMPLATES)


def test_the_network_of_the_original_has_its_size():
    assert model.Network(ORIGINAL).keras_model.count_params() == 2_417_793


def test_exchanging_the_ears_mirrors_the_answer_exactly():
    """Whatever the weights, which training moves away from where they began."""
    for loss in ("distribution", "mse"):
        network = model.Network(replace(PARAMS, loss=loss), templates=TEMPLATES)
        for _ in range(3):
            network.train(samples(8), np.linspace(-80, 80, 8), 1e-3)
        for frames in (50, 25):
            some = np.ascontiguousarray(samples(9, seed=1)[:, :, :frames])
            as_is, mirrored = network.answer(some), network.answer(-some)
            np.testing.assert_allclose(mirrored[0], -as_is[0], atol=1e-4)
            np.testing.assert_allclose(mirrored[1], as_is[1], atol=1e-4)
            assert np.ptp(as_is[0]) > 0.01


def test_the_bands_hold_the_likelihood_plain_and_of_steady_moments(network):
    some = samples(6, seed=7) * np.float16(2)
    features = network.keras_model.layers[1](some.astype(np.float32)).numpy()
    rows = features[..., 20 * 64:-2].reshape(6, 2, 48, 37)
    vectors = baseline.unit_vectors(some)
    head = TEMPLATES + TEMPLATES[::-1] * np.array([-1, 1, -1])
    head /= np.linalg.norm(head, axis=-1, keepdims=True)
    misfit = (1 - np.einsum("nftc,afc->nfta", vectors, head)) / 2
    likelihood = -np.log(2 * np.maximum(misfit, baseline.LEAST_MISFIT))[:, 1:]
    around = np.pad(vectors[:, 1:], ((0, 0), (0, 0), (1, 1), (0, 0)), mode="edge")
    steadiness = np.linalg.norm((around[:, :, :-2] + around[:, :, 1:-1] + around[:, :, 2:]) / 3, axis=-1) ** 4
    steadiness = np.repeat(steadiness.reshape(6, 40, 8, 50).mean(axis=2), 8, axis=1)
    plain, steady = (each.reshape(6, 20, 16, 50, 37).mean(axis=(2, 3))
                     for each in (likelihood, likelihood * steadiness[..., np.newaxis]))
    np.testing.assert_allclose(rows[:, 0, :20], plain, atol=2e-3)
    for fits, first, size in ((plain, 20, -2), (steady, 24, -1)):
        total = (fits - fits.mean(axis=2, keepdims=True)).mean(axis=1)
        np.testing.assert_allclose(rows[:, 0, first], total / total.std(axis=1, keepdims=True), atol=0.02)
        np.testing.assert_allclose(features[:, 0, size], np.log(total.std(axis=1)), atol=0.02)
        votes = rows[:, 0, first + 1:first + 4]
        assert np.all(votes.argmax(axis=-1) == total.argmax(axis=-1)[:, np.newaxis])
        np.testing.assert_allclose(votes.sum(axis=-1), 1, rtol=1e-5)
    centred = steady - steady.mean(axis=2, keepdims=True)
    np.testing.assert_allclose(rows[:, 0, 28:], centred / centred.std(axis=(1, 2), keepdims=True), atol=0.02)
    np.testing.assert_allclose(rows[:, 1], rows[:, 0, :, ::-1], atol=1e-5)


def test_a_source_that_holds_still_is_steadier_than_noise():
    rng = np.random.default_rng(8)
    still = np.broadcast_to(TEMPLATES[30, 1:9], (50, 8, 3)).transpose(1, 0, 2)
    noise = rng.normal(size=(8, 50, 3))
    noise /= np.linalg.norm(noise, axis=-1, keepdims=True)
    steadiness = model._steadiness(np.stack((still, noise), axis=1).astype(np.float32)).numpy()
    assert steadiness.shape == (2, 50, 1)
    np.testing.assert_allclose(steadiness[0], 1, rtol=1e-5)
    assert steadiness[1].mean() < 0.3


def test_cues_of_a_template_fit_it_best_in_every_band(network):
    cues = baseline.template_cues(PARAMS)                                     # (direction, bin, 2)
    some = np.repeat(cues[3::10, :, np.newaxis].astype(np.float16), 50, axis=2)
    outputs = network.outputs(some)
    assert outputs.fits.shape == (4, 20, 37)
    assert np.mean(outputs.fits.argmax(axis=-1) == np.arange(3, 37, 10)[:, np.newaxis]) > 0.9
    parting = readout.parting_deg(np.array(PARAMS.class_deg)[3::10], outputs.fits, PARAMS)
    assert parting.max() < 1
    assert readout.parting_deg(np.array(PARAMS.class_deg)[6::10], outputs.fits, PARAMS).min() > 5
    assert outputs.sizes.shape == (4, 2)


def test_templates_are_kept_with_the_weights(network, tmp_path):
    network.save(tmp_path / "a.keras")
    np.testing.assert_array_equal(model.Network.load(tmp_path / "a.keras").outputs(samples(3)).said,
                                  network.outputs(samples(3)).said)
    assert np.abs(network.outputs(samples(3)).said - model.Network(PARAMS).outputs(samples(3)).said).max() > 1e-6


def test_the_order_of_distant_frames_hardly_matters_to_the_bands(network):
    some = samples(4, seed=2) * np.float16(2)
    halves = np.concatenate((some[:, :, 26:], some[:, :, :26]), axis=2)  # two steps see another neighbour, 23 do not
    here, there, elsewhere = (network.keras_model(each.astype(np.float32)).numpy()
                              for each in (some, halves, samples(4, seed=3)))
    assert 0 < np.abs(there - here).mean() < 0.21 * np.abs(elsewhere - here).mean()


def test_an_empty_bin_and_a_lone_frame_are_finite(network):
    some = samples(2)
    some[..., 1] = 200
    some[0] = 0
    for frames in (1, 10, 50):
        assert np.isfinite(network.outputs(np.ascontiguousarray(some[:, :, :frames])).said).all()


@pytest.mark.parametrize("frames", [25, 50, 51, 75])
def test_an_answer_of_the_bands_is_the_mean_of_what_they_say_of_each_duration(network, frames):
    some = samples(4, seed=5)
    some = np.ascontiguousarray(np.concatenate((some, some[:, :, 20:]), axis=2)[:, :, :frames]) * np.float16(2)
    durations = model.looks(frames)
    assert len(durations) >= 2
    log = 0
    for parts in durations:
        alone = [network.keras_model(some[:, :, begin:end].astype(np.float32)).numpy() for begin, end in parts]
        log = log + np.log(np.mean(alone, axis=0)) / len(durations)
    mean = np.exp(log) / np.exp(log).sum(axis=1, keepdims=True)
    said = network.outputs(some).said
    np.testing.assert_allclose(said, mean, atol=2e-5)
    assert np.abs(said - network.keras_model(some.astype(np.float32)).numpy()).max() > 1e-3


@pytest.mark.parametrize(("frames", "counts"), [
    (10, [1]), (14, [1]), (22, [1, 2]), (25, [1, 2]), (50, [1, 2, 3, 5]), (51, [1, 2, 3, 5]), (100, [1, 2, 4, 6, 10]),
    (200, [1, 2, 4, 8, 12, 20])])
def test_parts_of_a_duration_cover_every_frame_once(frames, counts):
    assert [len(parts) for parts in model.looks(frames)] == counts
    for parts in model.looks(frames):
        assert [at for begin, end in parts for at in range(begin, end)] == list(range(frames))
        assert all(begin % 2 == 0 for begin, _ in parts)
        assert np.ptp([end - begin for begin, end in parts]) <= 3


@pytest.mark.parametrize(("frames", "starts"), [(50, [0]), (51, [0, 1]), (75, [0, 25]), (100, [0, 25, 50]),
                                                (200, [0, 25, 50, 75, 100, 125, 150])])
def test_windows_cover_every_frame(frames, starts):
    chosen = model.windows(frames)
    assert chosen[:, 0].tolist() == starts
    assert set(chosen.ravel().tolist()) == set(range(frames))
    assert np.all(np.diff(chosen, axis=1) == 1)


def test_a_short_sample_is_repeated():
    assert model.windows(20).tolist() == [[*range(20), *range(20), *range(10)]]


def test_a_long_answer_of_the_original_is_the_mean_of_its_windows():
    network = model.Network(replace(ORIGINAL, loss="distribution"))
    long = np.random.default_rng(5).normal(0, 1, (3, 321, 100, 2)).astype(np.float16)
    log = [np.log(network.outputs(np.ascontiguousarray(long[:, :, at:at + 50])).said) for at in (0, 25, 50)]
    mean = np.exp(np.mean(log, axis=0))
    np.testing.assert_allclose(network.outputs(long).said, mean / mean.sum(axis=1, keepdims=True), rtol=1e-3, atol=1e-6)
    short = long[:, :, :25]
    np.testing.assert_allclose(network.outputs(np.ascontiguousarray(short)).said,
                               network.outputs(np.concatenate((short, short), axis=2)).said, rtol=1e-4)


@pytest.mark.parametrize("name", ["bands", "original"])
def test_other_durations_train_the_same_weights(name):
    usual = model.Network(replace(PARAMS, model=name)).keras_model.count_params()
    for frames in (10, 60):
        network = model.Network(replace(PARAMS, model=name, frames=frames))
        assert network.keras_model.count_params() == usual
        batch = np.zeros((4, 321, frames, 2), np.float16)
        assert np.isfinite(float(network.train(batch, np.zeros(4), 1e-3)))


def test_answers_are_azimuths(network):
    outputs = network.outputs(samples(5))
    np.testing.assert_allclose(outputs.said.sum(axis=1), 1, atol=1e-5)
    answer = network.answer(samples(5))
    assert {each.shape for each in answer} == {(5,)}
    assert np.abs(answer.azimuth_deg).max() <= 90
    assert np.all((answer.spread_deg >= 0) & (answer.spread_deg <= answer.within_95_deg))


@pytest.mark.parametrize("loss", ["distribution", "mse"])
@pytest.mark.parametrize("name", ["bands", "original"])
def test_training_learns_a_few_samples_by_heart(name, loss):
    learner = model.Network(replace(PARAMS, model=name, loss=loss))
    some, azimuth_deg = samples(16), np.linspace(-90, 90, 16)
    losses = [float(learner.train(some, azimuth_deg, 1e-3)) for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]


def test_the_loss_reported_is_the_loss_trained(network):
    outputs = network.outputs(samples(8))
    azimuth_deg = np.linspace(-80, 80, 8)
    by_hand = -(readout.soft_labels(azimuth_deg, PARAMS) * np.log(outputs.said)).sum()
    assert network.loss_of(outputs, azimuth_deg) == pytest.approx(by_hand, rel=1e-5)


def test_a_saved_network_answers_the_same_and_opens_in_keras(network, tmp_path):
    network.save(tmp_path / "a.keras")
    again = model.Network.load(tmp_path / "a.keras")
    assert again.params == network.params
    assert again.calibration is None
    network.calibrate(np.random.default_rng(0).normal(size=(1000, 5)), np.linspace(0, 60, 1000))
    network.save(tmp_path / "a.keras")
    assert model.Network.load(tmp_path / "a.keras").calibration == network.calibration
    network.calibration = None
    assert np.array_equal(again.outputs(samples(3)).said, network.outputs(samples(3)).said)
    opened = model.keras.models.load_model(tmp_path / "a.keras")
    short = np.ascontiguousarray(samples(3)[:, :, :10])  # too short to be looked at in parts as well
    np.testing.assert_allclose(opened.predict(short.astype(np.float32), verbose=0),
                               network.outputs(short).said, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["a.keras"]


def test_a_file_cannot_bring_its_own_layers(network, tmp_path):
    """The description in the file is never used, so a foreign one neither runs nor changes the answer."""
    network.save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as good, zipfile.ZipFile(tmp_path / "b.keras", "w") as evil:
        for name in good.namelist():
            evil.writestr(name, b"{\"class_name\": \"Lambda\"}" if name == "config.json" else good.read(name))
    again = model.Network.load(tmp_path / "b.keras")
    assert np.array_equal(again.outputs(samples(2)).said, network.outputs(samples(2)).said)


def test_calibrations_of_before_are_refused_by_name(network, tmp_path, monkeypatch):
    monkeypatch.setattr(network, "_made_with", lambda: PARAMS.features | {"frames": 50} | PARAMS.training | {
        "scenes": None, "calibration": {"width_deg": [1, 2]}})
    network.save(tmp_path / "a.keras")
    with pytest.raises(BadInput, match=r"a\.keras tells its spreads as earlier versions .* train it again"):
        model.Network.load(tmp_path / "a.keras")


@pytest.mark.parametrize("damage", ["cut", "text", "foreign", "other features", "other layers"])
def test_foreign_and_torn_models_are_refused_by_name(network, tmp_path, damage):
    path = tmp_path / "bad.keras"
    network.save(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "text":
        path.write_text("not a model")
    elif damage == "foreign":
        model.keras.Sequential([model.keras.Input((3,)), model.keras.layers.Dense(1)]).save(path)
    else:
        change = {"other features": {"stft_hop_samples": 160}, "other layers": {"model": "original"}}[damage]
        with zipfile.ZipFile(path) as good, zipfile.ZipFile(tmp_path / "new", "w") as changed:
            for name in good.namelist():
                content = good.read(name)
                if name == model.PARAMS_ENTRY:
                    content = json.dumps(json.loads(content) | change)
                changed.writestr(name, content)
        shutil.move(tmp_path / "new", path)
    with pytest.raises(BadInput, match=r"bad\.keras"):
        model.Network.load(path)


def test_learning_rate_rises_and_falls():
    rates = [training.learning_rate_at(progress, PARAMS) for progress in np.linspace(0, 1, 1001)]
    assert max(rates) == pytest.approx(PARAMS.learning_rate, rel=0.02)
    assert rates[0] < 0.05 * max(rates)
    assert rates[-1] < 1e-6
    peak = int(np.argmax(rates))
    assert np.all(np.diff(rates[peak:]) <= 0)


def test_epochs_follow_the_number_of_samples():
    assert dataset.epochs_for(10, PARAMS) == 500
    assert dataset.epochs_for(10 ** 9, PARAMS) == 2
    assert dataset.epochs_for(60_000, PARAMS) == 5


@pytest.fixture(scope="module")
def opened(shards):
    return dataset.open_shards(shards, PARAMS, "X.py")[::2]  # one noise is enough here


@pytest.fixture(scope="module")
def feed(opened):
    return dataset.ShardFeed([opened], PARAMS)


def weights(path):
    return model.Network.load(path).keras_model.get_weights()


def test_a_resumed_run_ends_as_an_undisturbed_one(feed, tmp_path):
    whole, cut = console.folder_for_output(tmp_path / "whole"), console.folder_for_output(tmp_path / "cut")
    training.fit(feed, 3, whole, resume=False)

    saves = []
    real_save = model.Network.save

    def killed_in_epoch_2(self, path, state=None):
        saves.append(path.name)
        if saves.count("last.keras") == 2:
            raise KeyboardInterrupt  # after best.keras of epoch 2 may have been written, before last.keras
        real_save(self, path, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model.Network, "save", killed_in_epoch_2)
        with pytest.raises(KeyboardInterrupt):
            training.fit(feed, 3, cut, resume=False)
    history = training.fit(feed, 3, cut, resume=True)

    for name in ("last.keras", "best.keras"):
        for one, two in zip(weights(whole / name), weights(cut / name), strict=True):
            assert np.array_equal(one, two)
    rows = [list(csv.DictReader((folder / "history.csv").read_text().splitlines())) for folder in (whole, cut)]
    assert [r["validation_loss"] for r in rows[0]] == [r["validation_loss"] for r in rows[1]]
    assert [row["epoch"] for row in history] == [1, 2, 3]


def test_several_origins_are_averaged_and_others_refused(feed, tmp_path):
    origins = [tmp_path / f"{seed}.keras" for seed in (1, 2)]
    for seed, origin in zip((1, 2), origins):
        model.Network(replace(feed.params, seed=seed)).save(origin)
    begun = model.Network(feed.params)
    begun.begin_with([model.Network.load(origin) for origin in origins])
    for one, other, mean in zip(*map(weights, origins), begun.keras_model.get_weights()):
        np.testing.assert_allclose(mean, (one + other) / 2, atol=1e-7)
    model.Network(replace(feed.params, model="original")).save(tmp_path / "other.keras")
    with pytest.raises(BadInput, match=r"--from names a model that differs \(model original, wanted bands\)"):
        training.fit(feed, 1, tmp_path, False, [origins[0], tmp_path / "other.keras"])


def test_another_seed_gives_another_network(opened, tmp_path):
    out = [console.folder_for_output(tmp_path / str(seed)) for seed in (1, 2)]
    for seed, folder in zip((1, 2), out):
        training.fit(dataset.ShardFeed([opened], replace(PARAMS, seed=seed)), 1, folder, resume=False)
    assert not np.array_equal(weights(out[0] / "last.keras")[0], weights(out[1] / "last.keras")[0])
    with pytest.raises(BadInput, match="seed 2, wanted 1"):
        training.fit(dataset.ShardFeed([opened], replace(PARAMS, seed=1)), 2, out[1], resume=True)


def test_training_stops_early_and_keeps_the_best(feed, tmp_path, monkeypatch):
    losses = iter([3.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    monkeypatch.setattr(training, "_train_epoch", lambda *_: 1.0)
    monkeypatch.setattr(training, "evaluate", lambda *_: (next(losses), 50.0))
    history = training.fit(feed, 20, tmp_path, resume=False)
    assert len(history) == 2 + PARAMS.patience_min
    assert training.fit(feed, 20, tmp_path, resume=True) == history  # patience outlives the process


def test_a_loss_that_explodes_is_reported(feed, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_train_epoch", lambda *_: float("nan"))
    monkeypatch.setattr(training, "evaluate", lambda *_: pytest.fail("validates a network that is lost"))
    with pytest.raises(BadInput, match="--learning-rate"):
        training.fit(feed, 2, tmp_path, resume=False)
    assert not (tmp_path / "last.keras").exists()


def test_a_loss_that_is_not_finite_ends_training_with_one_sentence(tmp_path):
    batch = samples(8), np.linspace(-80, 80, 8)
    feed = SimpleNamespace(params=PARAMS, scenes=None, fingerprint="x", training_count=8, validation_count=8,
                           training=lambda epoch: [(batch[0] * np.float16(np.nan), batch[1])],
                           validation=lambda batch_size: [batch])
    with pytest.raises(BadInput, match="no longer finite in epoch 1; start again with a smaller --learning-rate"):
        training.fit(feed, 1, tmp_path, resume=False)
    assert not (tmp_path / "best.keras").exists()
