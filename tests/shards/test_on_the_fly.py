"""Training straight from wavs: the same with any number of workers, and no mixture twice."""
import os
import signal
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest

import hrir
from params import Params
from shards import on_the_fly
from shards.feeds import Share
from sound import mixing

PARAMS = replace(Params(), frames=10, azimuth_deg=(-60, 20, 45), circle_deg=(-60, 0, 60), snr_range_db=(0, 20),
                 noise_field=("diffuse", "talker"))


@pytest.fixture(scope="module")
def audio(noise_files):
    return noise_files("speech", 5, 1.5, PARAMS)[1], noise_files("noise", 2, 1.0, PARAMS)[1]


def feed(audio, params=PARAMS, samples=100, workers=2):
    heads = [hrir.load("mit_kemar", 16_000, mixing.directions_deg(params))]
    return on_the_fly.WavFeed(*audio, heads, params, params.scenes, samples, workers)


class InThisProcess:
    """Stands in for the pool of worker processes."""

    def __init__(self, workers, context, begin, given):
        begin(*given)

    def submit(self, function, *given):
        """Call at once."""
        done = Future()
        done.set_result(function(*given))
        return done

    def shutdown(self, cancel_futures):
        """Nothing waits."""


@pytest.fixture
def in_this_process(monkeypatch):
    monkeypatch.setattr(on_the_fly, "ProcessPoolExecutor", InThisProcess)
    monkeypatch.setattr(on_the_fly, "_worker", {})
    monkeypatch.setattr(on_the_fly.signal, "signal", lambda *_: None)
    monkeypatch.setattr(on_the_fly, "_end_with", lambda parent: None)
    monkeypatch.setattr(on_the_fly, "VALIDATION_CHUNKS", 4)


def everything(batches):
    samples, sources_deg = zip(*batches)
    return np.concatenate(samples), np.concatenate(sources_deg)[:, 0]


@pytest.mark.slow
def test_worker_processes_make_the_samples_that_one_process_makes(audio, monkeypatch, request):
    monkeypatch.setattr(on_the_fly, "VALIDATION_CHUNKS", 4)
    with feed(audio, workers=2) as of_processes:
        made = [everything(of_processes.training(2)), everything(of_processes.validation(64))]
    request.getfixturevalue("in_this_process")
    here = feed(audio)
    for one, other in zip(made, [everything(here.training(2)), everything(here.validation(64))]):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_counts_and_batches_are_as_stated(audio, in_this_process):
    wavs = feed(audio)
    assert wavs.training_count == 3 * 4 * 4 * 3  # chunks, scenes, noises, azimuths: the least that holds 100
    assert [len(labels) for _, labels in wavs.training(1)] == [64, 64, 16]
    assert [len(labels) for _, labels in wavs.validation(100)] == [100, 92]
    assert wavs.validation_count == 192


def test_no_mixture_comes_twice(audio, in_this_process):
    wavs = feed(audio)
    streams = wavs.training(1), wavs.training(2), wavs.validation(64)
    samples = np.concatenate([everything(stream)[0] for stream in streams])
    assert len({sample.tobytes() for sample in samples}) == len(samples)


def test_every_epoch_follows_from_seed_and_number_so_that_a_resumed_run_goes_on(audio, in_this_process):
    undisturbed, resumed = feed(audio), feed(audio)
    first, second = (everything(undisturbed.training(epoch))[0] for epoch in (1, 2))
    np.testing.assert_array_equal(everything(resumed.training(2))[0], second)
    assert not np.array_equal(first, second)


def test_another_seed_makes_another_epoch(audio, in_this_process):
    one, other = (next(iter(feed(audio, replace(PARAMS, seed=seed)).training(1)))[0] for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_validation_is_always_the_same(audio, in_this_process):
    wavs = feed(audio)
    one, again = (everything(wavs.validation(batch_size)) for batch_size in (64, 64))
    np.testing.assert_array_equal(one[0], again[0])


def test_another_fingerprint_tells_of_other_scenes_or_files(audio, in_this_process):
    feeds = [feed(audio), feed(audio, replace(PARAMS, snr_range_db=(0, 10))), feed((audio[0][:4], audio[1])),
             feed((audio[0], audio[1][:1]))]
    assert len({wavs.fingerprint for wavs in feeds}) == 4
    assert feed(audio).fingerprint == feeds[0].fingerprint


def test_the_epochs_follow_from_the_samples_asked_for(audio, in_this_process, monkeypatch):
    monkeypatch.setattr(on_the_fly, "CHUNKS_PER_EPOCH", 2)
    assert feed(audio, samples=960).epochs == 10


def test_azimuths_are_shuffled(audio, in_this_process):
    labels = everything(feed(audio).training(1))[1]
    assert sorted(set(labels.tolist())) == [-60, 20, 45]
    assert np.mean(labels[3:] == labels[:-3]) < 0.6


def batches_of_ten_chunks(monkeypatch, batch_size, mixed, share, made=None):
    """Batches of chunks of 48 rows with the numbers 0 to 479; `made` collects which chunks were mixed."""
    rows = [np.arange(48 * chunk, 48 * chunk + 48) for chunk in range(10)]
    chunks = [(row[:, np.newaxis], row) for row in rows]
    monkeypatch.setattr(on_the_fly, "CHUNKS_MIXED", mixed)
    wavs = on_the_fly.WavFeed.__new__(on_the_fly.WavFeed)
    wavs._share = share
    numbers = [] if made is None else made
    wavs._in_order = lambda keys: (numbers.append(number) or chunks[number] for _, _, number in keys)
    return list(wavs._batches(on_the_fly.TRAINING, 1, 10, 480, batch_size))


@pytest.mark.parametrize("batch_size", [1, 7, 48, 60, 64, 1000])
@pytest.mark.parametrize("mixed", [1, 3, 8])
def test_batches_deal_out_every_row_once_from_many_chunks(monkeypatch, batch_size, mixed):
    batches = batches_of_ten_chunks(monkeypatch, batch_size, mixed, Share())
    assert all(len(labels) == batch_size for _, labels in batches[:-1])
    assert all(np.array_equal(samples[:, 0], labels) for samples, labels in batches)
    assert sorted(np.concatenate([labels for _, labels in batches]).tolist()) == list(range(480))
    if batch_size == 64:  # a batch has rows of the chunks whose time it is, and of those that begin or end in it
        assert min(mixed, 7) <= len(set((batches[3][1] // 48).tolist())) <= mixed + 2


def test_of_many_chunks_none_is_mixed_by_two_workers(monkeypatch):
    monkeypatch.setattr(on_the_fly, "CHUNKS_MIXED", 8)
    made = []
    for index in range(3):
        wavs = on_the_fly.WavFeed.__new__(on_the_fly.WavFeed)
        wavs._share = Share(index, 3)
        wavs._in_order = lambda keys: (made.append(number) or (np.ones((48, 1)), np.ones(48)) for _, _, number in keys)
        assert all(len(labels) for _, labels in wavs._batches(on_the_fly.TRAINING, 1, 40, 40 * 48, 64))
    assert sorted(made) == list(range(40))


def test_no_more_chunks_are_held_than_are_mixed_and_the_first_batch_waits_for_few(monkeypatch):
    monkeypatch.setattr(on_the_fly, "CHUNKS_MIXED", 8)
    wavs, made = on_the_fly.WavFeed.__new__(on_the_fly.WavFeed), []
    wavs._share = Share()

    def in_order(keys):
        for key in keys:
            made.append(key)
            yield np.zeros((48, 1)), np.full(48, key[2])
    wavs._in_order = in_order
    seen = np.zeros(40, int)
    for _, labels in wavs._batches(on_the_fly.TRAINING, 1, 40, 40 * 48, 16):
        if not seen.any():
            assert len(made) < 5
        np.add.at(seen, labels, 1)
        assert len(made) - (seen == 48).sum() <= 9


@pytest.mark.parametrize("batch_size", [7, 60, 64, 1000])
@pytest.mark.parametrize("mixed", [1, 3, 8, 96])
@pytest.mark.parametrize("workers", [2, 3, 5])
def test_the_shares_of_workers_make_up_the_batches_of_one(monkeypatch, batch_size, mixed, workers):
    made = [[] for _ in range(workers)]
    whole = batches_of_ten_chunks(monkeypatch, batch_size, mixed, Share())
    shares = [batches_of_ten_chunks(monkeypatch, batch_size, mixed, Share(index, workers), numbers)
              for index, numbers in enumerate(made)]
    for (_, labels), *parts in zip(whole, *shares, strict=True):
        assert all(np.array_equal(samples[:, 0], own) for samples, own in parts)
        assert sorted(np.concatenate([own for _, own in parts]).tolist()) == sorted(labels.tolist())
        if len(labels) >= 4 * workers:
            assert min(len(own) for _, own in parts) > 0
    assert all(numbers == sorted(set(numbers)) for numbers in made)


def test_labels_belong_to_their_samples(audio, in_this_process):
    samples, labels = everything(feed(audio, replace(PARAMS, snr_range_db=(30, 30))).training(1))
    ild_db = np.median(samples[:, 80:200, :, 1].astype(np.float32), axis=(1, 2))
    assert ild_db[labels == 45].min() > 2
    assert ild_db[labels == -60].max() < -2


def test_of_snrs_given_as_steps_all_are_drawn(audio, in_this_process, monkeypatch):
    drawn = []
    monkeypatch.setattr(on_the_fly, "noise_gain", lambda front, noise, snr_db: drawn.append(snr_db) or 1.0)
    everything(feed(audio, replace(PARAMS, snr_range_db=(), snr_db=(-5, 0, 10))).training(1))
    assert set(drawn) == {-5, 0, 10}


@pytest.fixture
def chunk_of_many_azimuths(audio, in_this_process):
    params = replace(PARAMS, azimuth_deg=tuple(range(-90, 91, 5)), snr_range_db=(40, 40), noise_field=("diffuse",))
    feed(audio, params)
    samples, sources_deg = on_the_fly._make_chunk(on_the_fly.TRAINING, 1, 0)
    return samples, sources_deg[:, 0]


def test_each_scene_of_a_chunk_has_some_of_many_azimuths(chunk_of_many_azimuths):
    _, labels = chunk_of_many_azimuths
    counts = np.unique(labels, return_counts=True)[1]
    assert len(labels) == 4 * on_the_fly.NOISES * on_the_fly.AZIMUTHS
    assert set(counts) <= {4, 8, 12, 16}  # the azimuths of a scene in all of its noises
    assert len(set(counts)) > 1           # not the same ones for all scenes


def test_azimuths_of_a_chunk_belong_to_their_samples(chunk_of_many_azimuths):
    samples, labels = chunk_of_many_azimuths
    ild_db = np.median(samples[:, 80:200, :, 1].astype(np.float32), axis=(1, 2))
    assert np.corrcoef(ild_db, labels)[0, 1] > 0.9


def test_one_validation_chunk_in_four_has_the_heads_as_measured(audio, in_this_process):
    feed(audio, replace(PARAMS, head_colour_db=6.0, rt60_s=(0.2, 0.2), snr_range_db=(60, 60), noise_field=("diotic",)))
    deviation_db = {}  # of the ILD from scene to scene
    for part in (on_the_fly.TRAINING, on_the_fly.VALIDATION):
        for number in (0, 1, 2, 4, 5, 6):
            samples, sources_deg = on_the_fly._make_chunk(part, 0, number)
            ild_db = np.median(samples[sources_deg[:, 0] == 45][:, 20:200, :, 1].astype(np.float32), axis=2)
            deviation_db[part, number] = ild_db.std(axis=0).mean()
    as_measured = [deviation_db.pop((on_the_fly.VALIDATION, number)) for number in (2, 6)]
    assert max(as_measured) < 0.5 * min(deviation_db.values())


def test_one_validation_chunk_in_four_is_noise_alone(audio, in_this_process):
    feed(audio)
    is_alone = [np.isnan(on_the_fly._make_chunk(on_the_fly.VALIDATION, 0, number)[1]).all(axis=1)
                for number in range(8)]
    assert [each.all() for each in is_alone] == [False, False, False, True] * 2
    assert not any(each.any() for each in is_alone[:3])


SEVERAL = replace(PARAMS, azimuth_deg=tuple(range(-90, 91, 15)), talkers=(0, 1, 2, 3),
                  noise_field=("diffuse", "directional"))


def test_sources_are_those_of_the_samples_the_loudest_first_and_a_directed_noise_is_told(audio, in_this_process):
    feed(audio, SEVERAL)
    chunks = [on_the_fly._make_chunk(on_the_fly.TRAINING, 1, number)[1] for number in range(6)]
    sources_deg = np.concatenate(chunks)
    assert sources_deg.shape[1] == 4
    count = np.isfinite(sources_deg).sum(axis=1)
    assert set(count) == {0, 1, 2, 3}
    assert np.all(np.isfinite(sources_deg[:, :3]) == (np.arange(3) < count[:, np.newaxis]))    # padded at the end
    assert set(np.isinf(sources_deg[:, 3])) == {True, False}
    assert not np.isinf(sources_deg[:, :3]).any()


def test_a_fifth_kind_of_validation_chunk_has_several_talkers_and_all_others_at_most_one(audio, in_this_process):
    feed(audio, SEVERAL)
    most = [int(np.isfinite(on_the_fly._make_chunk(on_the_fly.VALIDATION, 0, number)[1]).sum(axis=1).max())
            for number in range(5)]
    assert most[:4] == [1, 1, 1, 0]
    assert most[4] in (2, 3)


def test_own_heads_are_given_for_a_share_of_the_samples(audio, in_this_process):
    params = replace(PARAMS, azimuth_deg=Params().azimuth_deg, circle_deg=Params().azimuth_deg, own_head_share=0.5)
    with feed(audio, params, samples=2000) as wavs:
        batches = list(wavs.training(1))
    assert all(templates.shape == (len(sources_deg), 37, 321, 2) for _, sources_deg, templates in batches)
    has_own = np.concatenate([templates.any(axis=(1, 2, 3)) for *_, templates in batches])
    assert 0.2 < has_own.mean() < 0.8
    assert wavs.fingerprint != feed(audio, replace(params, own_head_share=0.4), samples=2000).fingerprint


@pytest.mark.parametrize("part", [on_the_fly.TRAINING, on_the_fly.VALIDATION])
def test_speech_is_drawn_from_its_part_of_the_split(audio, in_this_process, part):
    wavs, rng = feed(audio), np.random.default_rng(0)
    validation = on_the_fly._split_speech(audio[0], PARAMS).validation_files
    drawn = {on_the_fly._draw_clip(part, rng)[0].sha256 for _ in range(40)}
    everyone = {each.sha256 for each in audio[0]}
    assert drawn == (validation if part == on_the_fly.VALIDATION else everyone - validation)
    assert wavs.params is PARAMS


def test_a_competing_talker_is_never_the_talker(audio, in_this_process):
    feed(audio)
    rng = np.random.default_rng(0)
    for part in (on_the_fly.TRAINING, on_the_fly.VALIDATION):  # of one validation file the others compete
        assert audio[0][0] not in [on_the_fly._draw_clip(part, rng, audio[0][0])[0] for _ in range(20)]


def test_of_a_single_file_each_part_has_its_stretch_of_time(noise_files, in_this_process):
    params = replace(PARAMS, noise_field=("diffuse",))
    alone = noise_files("alone", 1, 4.0, params)[1]
    feed((alone, alone), params)
    rng, border = np.random.default_rng(0), on_the_fly._split_speech(alone, params).border
    training, validation = (on_the_fly._draw_clip(part, rng)[1].starts for part in
                            (on_the_fly.TRAINING, on_the_fly.VALIDATION))
    assert training.max() + params.excerpt_length <= border <= validation.min()


def test_workers_inherit_what_keeps_their_memory_and_nothing_stays_behind(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "7")
    before = dict(on_the_fly.os.environ)
    with on_the_fly._inherited_by_workers():
        assert on_the_fly.os.environ["MALLOC_MMAP_THRESHOLD_"] == str(2 ** 30)
        assert on_the_fly.os.environ["MALLOC_TRIM_THRESHOLD_"] == "7"           # what the user set, stays
    assert dict(on_the_fly.os.environ) == before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows sends no such signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_wait_until_no_worker_is_half_started(name):
    heard, environment = [], dict(os.environ)
    before = signal.signal(signal.Signals[name], lambda *_: heard.append(True))
    try:
        with on_the_fly._inherited_by_workers():
            os.kill(os.getpid(), signal.Signals[name])
            assert not heard
        assert heard == [True]
    finally:
        signal.signal(signal.Signals[name], before)
    assert dict(os.environ) == environment
