"""The training loop: it repeats, resumes and stops exactly."""
import csv
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import samples

import console
from console import BadInput
from network import training
from network.model import Network
from params import Params
from shards.feeds import ShardFeed, epochs_for
from shards.files import open_shards

PARAMS = Params()


def test_learning_rate_rises_and_falls():
    rates = [training.learning_rate_at(progress, PARAMS) for progress in np.linspace(0, 1, 1001)]
    assert max(rates) == pytest.approx(PARAMS.learning_rate, rel=0.02)
    assert rates[0] < 0.05 * max(rates)
    assert rates[-1] < 1e-6
    peak = int(np.argmax(rates))
    assert peak == 20  # the warm-up is 2 % of the steps
    assert np.all(np.diff(rates[peak:]) <= 0)


@pytest.mark.parametrize(("epochs", "patience"), [(1, 5), (20, 5), (50, 10), (500, 100)])
def test_patience_is_a_fifth_of_the_epochs_and_at_least_5(epochs, patience):
    assert training.patience_for(epochs, PARAMS) == patience


def test_epochs_follow_the_number_of_samples():
    assert epochs_for(10, PARAMS) == 500
    assert epochs_for(10 ** 9, PARAMS) == 2
    assert epochs_for(60_000, PARAMS) == 5


@pytest.fixture(scope="module")
def opened(short_shards):
    return open_shards(short_shards, PARAMS, "X.py")


@pytest.fixture(scope="module")
def feed(opened):
    return ShardFeed([opened], replace(PARAMS, batch_size=32))


def weights(path):
    return Network.load(path).keras_model.get_weights()


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_undisturbed_one(feed, tmp_path):
    whole, cut = console.folder_for_output(tmp_path / "whole"), console.folder_for_output(tmp_path / "cut")
    training.fit(feed, 3, whole, resume=False)

    saves = []
    real_save = Network.save

    def killed_in_epoch_2(self, path, state=None):
        saves.append(path.name)
        if saves.count("last.keras") == 2:
            raise KeyboardInterrupt  # after best.keras of epoch 2 may have been written, before last.keras
        real_save(self, path, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "save", killed_in_epoch_2)
        with pytest.raises(KeyboardInterrupt):
            training.fit(feed, 3, cut, resume=False)
    history = training.fit(feed, 3, cut, resume=True)

    for name in ("last.keras", "best.keras"):
        for one, two in zip(weights(whole / name), weights(cut / name), strict=True):
            assert np.array_equal(one, two)
    rows = [list(csv.DictReader((folder / "history.csv").read_text().splitlines())) for folder in (whole, cut)]
    assert all(float(r["samples_per_s"]) * float(r["seconds"]) > feed.training_count for r in rows[0])
    assert [r["validation_loss"] for r in rows[0]] == [r["validation_loss"] for r in rows[1]]
    assert [row["epoch"] for row in history] == [1, 2, 3]


@pytest.mark.slow
def test_several_origins_are_averaged_and_others_refused(feed, tmp_path):
    origins = [tmp_path / f"{seed}.keras" for seed in (1, 2)]
    for seed, origin in zip((1, 2), origins):
        Network(replace(feed.params, seed=seed)).save(origin)
    begun = Network(feed.params)
    begun.begin_with([Network.load(origin) for origin in origins])
    for one, other, mean in zip(*map(weights, origins), begun.keras_model.get_weights()):
        np.testing.assert_allclose(mean, (one + other) / 2, atol=1e-7)
    Network(replace(feed.params, model="original")).save(tmp_path / "other.keras")
    with pytest.raises(BadInput, match=r"--from names a model that differs \(model original, wanted cnn\)"):
        training.fit(feed, 1, tmp_path, False, [origins[0], tmp_path / "other.keras"])


@pytest.mark.slow
def test_another_seed_gives_another_network_and_cannot_be_resumed(opened, tmp_path):
    one, other = (Network(replace(PARAMS, seed=seed)).keras_model.get_weights()[0] for seed in (1, 2))
    assert not np.array_equal(one, other)
    training.fit(ShardFeed([opened], replace(PARAMS, seed=2)), 1, tmp_path, resume=False)
    with pytest.raises(BadInput, match="seed 2, wanted 1"):
        training.fit(ShardFeed([opened], replace(PARAMS, seed=1)), 2, tmp_path, resume=True)


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_training_with_one_sentence(tmp_path):
    batch = samples(8), np.linspace(-80, 80, 8)
    feed = SimpleNamespace(params=PARAMS, made_with=None, fingerprint="x", training_count=8, validation_count=8,
                           training=lambda epoch: [(batch[0] * np.float16(np.nan), batch[1])],
                           validation=lambda batch_size: [batch])
    with pytest.raises(BadInput, match="no longer finite in epoch 1; start again with a smaller --learning-rate"):
        training.fit(feed, 1, tmp_path, resume=False)
    assert not (tmp_path / "best.keras").exists()
