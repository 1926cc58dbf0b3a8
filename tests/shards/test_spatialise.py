"""The run of the Spatialise scripts: heads, what is missing, and the same bytes with any number of jobs."""
import threading
from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf
from helpers import write_head

import hrir
from console import BadInput
from params import Params
from shards import spatialise
from shards.audio import Audio
from shards.files import open_shards
from shards.recipe import talkers_beside
from sound import mixing

PARAMS = replace(Params(), frames=10)


@pytest.fixture(scope="module")
def run(noise_files):
    """Function: run SpatialiseTRAIN on two speech files and a noise file, with few azimuths, into a folder."""
    folders = {name: noise_files(name, count, seconds, PARAMS)[0] for name, count, seconds in
               (("speech", 2, 0.5), ("noise", 1, 0.3))}

    def run(out, *argv):
        spatialise.main("", "TRAIN", [
            "--speech", str(folders["speech"]), "--noise", str(folders["noise"]), "--out", str(out), "--frames", "10",
            "--azimuth-deg", "-30", "20", "--snr-db", "0", "20", *map(str, argv)])
        return {path.name: path.read_bytes() for path in out.glob("*.npz")}
    return run


def test_each_pair_becomes_a_shard(run, tmp_path, capsys):
    run(tmp_path)
    shards = open_shards(tmp_path, PARAMS, "X.py")
    assert [(shard.speech, shard.noise) for shard in shards] == [("speech0.wav", "noise0.wav"),
                                                                 ("speech1.wav", "noise0.wav")]
    assert shards[0].labels.tolist() == [-30, 20, -30, 20]
    assert shards[0].snr_db.tolist() == [0, 0, 20, 20]
    assert "made 2 shards; 2 shards (2 speech x 1 noise files), 8 samples." in capsys.readouterr().out


def test_the_bytes_do_not_depend_on_the_jobs(run, tmp_path):
    assert run(tmp_path / "one", "--jobs", 1) == run(tmp_path / "three", "--jobs", 3)


TALKERS = ("--talkers", 0, 1, 2, 3, "--azimuth-deg", -60, -30, 0, 30, 60)


def test_shards_of_several_talkers_repeat_with_any_jobs_and_hold_who_speaks(run, tmp_path):
    one = run(tmp_path / "one", *TALKERS, "--jobs", 1)
    assert one == run(tmp_path / "two", *TALKERS, "--jobs", 2)
    shard = open_shards(tmp_path / "one", PARAMS, "X.py")[0]
    assert shard.talker_azimuth_deg.shape == shard.talker_level_db.shape == (10, 3)
    np.testing.assert_array_equal(shard.labels, shard.talker_azimuth_deg[:, 0])
    assert shard.params["talkers"] == [0, 1, 2, 3]


@pytest.mark.parametrize("before", [(), TALKERS[:3]])
def test_shards_of_other_numbers_of_talkers_are_refused(run, tmp_path, before):
    run(tmp_path, *before)
    with pytest.raises(BadInput, match="it was made with .*talkers"):
        run(tmp_path, *(() if before else TALKERS[:3]))


def test_each_talker_is_named_in_the_listening_examples(run, tmp_path):
    run(tmp_path / "out", *TALKERS, "--listen", tmp_path / "ears")
    shard = open_shards(tmp_path / "out", PARAMS, "X.py")[0]
    names = {path.name for path in (tmp_path / "ears").iterdir()}
    expected = {"_".join(f"{azimuth:+03g}" for azimuth in row[np.isfinite(row)]) for row in
                shard.talker_azimuth_deg[5:]}
    assert "" in expected
    assert names == {f"azimuth_{each}_deg.wav" if each else "noise_alone.wav" for each in expected}


def test_another_seed_makes_other_samples(run, tmp_path):
    one, other = run(tmp_path / "one"), run(tmp_path / "other", "--seed", 1)
    assert all(one[name] != other[name] for name in one)


def test_what_is_made_is_left_and_what_is_missing_is_made_as_before(run, tmp_path, capsys):
    before = run(tmp_path)
    path = sorted(tmp_path.glob("*.npz"))[0]
    path.unlink()
    assert run(tmp_path) == before
    assert "made 1 shards" in capsys.readouterr().out
    run(tmp_path)
    assert "nothing to do" in capsys.readouterr().out


def test_shards_of_another_run_are_refused_or_removed(run, tmp_path):
    run(tmp_path)
    with pytest.raises(BadInput, match="does not belong to this run: it was made with seed 0, wanted 1"):
        run(tmp_path, "--seed", 1)
    assert {shard.params["seed"] for shard in open_shards(tmp_path, PARAMS, "X.py")} == {0}
    run(tmp_path, "--seed", 1, "--overwrite")
    assert {shard.params["seed"] for shard in open_shards(tmp_path, PARAMS, "X.py")} == {1}


def test_a_shard_that_is_stopped_leaves_no_file(tmp_path):
    class Plan:
        path, names = tmp_path / "a.npz", ("s", "n")

        def count(self, params):
            return 2

        def samples(self, mixer, audio):
            stop.set()
            yield np.zeros((2, *PARAMS.sample_shape), np.float16), {}

    stop = threading.Event()
    with pytest.raises(InterruptedError):
        spatialise._make_shard(Plan(), mixing.Mixer(PARAMS, []), None, {}, stop)
    assert not list(tmp_path.iterdir())


def test_listening_examples_are_at_the_highest_snr_from_every_azimuth(run, tmp_path, capsys):
    run(tmp_path / "out", "--listen", tmp_path / "ears")
    levels_db = {}
    for path in (tmp_path / "ears").iterdir():
        signal, _ = sf.read(path)
        levels_db[path.name] = 10 * np.log10(np.mean(np.square(signal), axis=0))
    assert "2 wavs of speech0.wav in noise0.wav at 20 dB" in capsys.readouterr().out
    left, right = levels_db["azimuth_-30_deg.wav"], levels_db["azimuth_+20_deg.wav"]
    assert left[0] > left[1]
    assert right[1] > right[0]


def test_the_disk_must_hold_what_is_missing(run, tmp_path, monkeypatch):
    free = type("Usage", (), {"free": 4 * 321 * 10 * 2 * 2})  # half of what is needed
    monkeypatch.setattr(spatialise.shutil, "disk_usage", lambda path: free)
    with pytest.raises(BadInput, match="needs 102.7 kB and its disk has 51.4 kB left"):
        run(tmp_path)
    assert not list(tmp_path.glob("*.npz"))


def test_a_single_speech_file_has_several_excerpts_so_that_it_can_be_split(noise_files, tmp_path, capsys):
    alone, noise = (noise_files(name, 1, 1.0, PARAMS)[0] for name in ("alone", "noise"))
    spatialise.main("", "TRAIN", ["--speech", str(alone), "--noise", str(noise), "--out", str(tmp_path), "--frames",
                                  "10", "--azimuth-deg", "0", "--snr-db", "0"])
    assert len(open_shards(tmp_path, PARAMS, "X.py")[0].labels) == PARAMS.excerpts_of_lone_speech
    assert "Only one speech file" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------------------------- heads

def test_heads_are_loaded_at_every_direction_and_described(capsys):
    heads, params = spatialise.load_heads(replace(PARAMS, azimuth_deg=(12.5,)))
    np.testing.assert_array_equal(heads[0].azimuth_deg, mixing.directions_deg(params))
    assert capsys.readouterr().out == f"{heads[0].description}\n"


def test_noise_comes_from_the_directions_that_a_set_has(monkeypatch, capsys):
    shipped = hrir.read("mit_kemar")
    front = shipped._replace(response=shipped.response[6:31], azimuth_deg=shipped.azimuth_deg[6:31])
    monkeypatch.setattr(hrir, "read", lambda *_: front)
    _, params = spatialise.load_heads(replace(PARAMS, azimuth_deg=(0,)))
    assert params.circle_deg == tuple(range(-60, 61, 5))
    assert "Noise comes from 25 of 37 directions, -60 to 60 degrees" in capsys.readouterr().err


def test_the_heads_of_a_folder_share_its_weight(tmp_path, capsys):
    (tmp_path / "people").mkdir()
    for name in ("one", "two", "three"):
        write_head(tmp_path / "people" / f"{name}.sofa")
    named = ("mit_kemar", str(tmp_path / "people"))
    heads, params = spatialise.load_heads(replace(PARAMS, hrir_set=named, hrir_weights=(1, 6)))
    assert [(head.name, head.share) for head in heads] == [("mit_kemar", 1), ("one", 2), ("three", 2), ("two", 2)]
    assert spatialise.scenes_with(heads, params)["hrir_weights"] == [1, 2, 2, 2]
    heads, params = spatialise.load_heads(replace(PARAMS, hrir_set=named))
    assert {head.share for head in heads} == {1}
    assert "hrir_weights" not in spatialise.scenes_with(heads, params)
    assert "and" not in capsys.readouterr().err


def test_weights_are_refused_where_they_do_not_fit():
    with pytest.raises(BadInput, match="--hrir-weights 1 2 is not possible: it takes a number above 0 for"):
        replace(PARAMS, hrir_weights=(1, 2))


def test_two_sets_of_one_name_are_refused(monkeypatch):
    shipped = hrir.read("mit_kemar")
    monkeypatch.setattr(hrir, "read", lambda *_: shipped)
    with pytest.raises(BadInput, match="--hrir a/x.sofa b/x.sofa holds two sets of one name"):
        spatialise.load_heads(replace(PARAMS, hrir_set=("a/x.sofa", "b/x.sofa")))


def test_shards_name_their_sets_and_digests_but_no_path():
    heads, params = spatialise.load_heads(PARAMS)
    made_with = spatialise.scenes_with(heads, params)
    assert made_with["hrir_set"] == ["mit_kemar"]
    assert made_with["hrir_sha256"] == [heads[0].sha256]


def test_a_talker_does_not_compete_with_a_copy_of_itself():
    speech = [Audio(None, name, digest, 1) for name, digest in (("a", "1"), ("copy of a", "1"), ("b", "2"))]
    params = replace(PARAMS, noise_field=("talker",))
    assert list(talkers_beside(speech, params)(speech[0])) == speech[2:]
    assert not talkers_beside(speech, PARAMS)(speech[0])


@pytest.mark.parametrize("changes", [{"noise_field": ("talker",)}, {"noise_field": ("mixed",)}, {"talkers": (1, 2)}])
def test_a_second_talker_needs_another_speech_file(changes):
    params = replace(PARAMS, **changes)
    twins = [Audio(None, name, "same bytes", 1) for name in ("a", "b")]
    with pytest.raises(BadInput, match="needs speech of two talkers"):
        spatialise.require_competing_talkers(twins, params)
    spatialise.require_competing_talkers([twins[0], twins[1]._replace(sha256="others")], params)
    spatialise.require_competing_talkers(twins, replace(PARAMS, talkers=(0, 1)))


def test_sizes_are_told_in_numbers_that_differ():
    assert [spatialise._as_text(size) for size in (2.5e9, 12e6, 3e5)] == ["2.5 GB", "12.0 MB", "300.0 kB"]
