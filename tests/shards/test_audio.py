"""Audio files of any rate and format become one signal; what cannot be used is named."""
import numpy as np
import pytest
import soundfile as sf

from console import BadInput, sha256_of
from params import Params
from shards import audio
from sound import excerpts

PARAMS = Params()
RATE = PARAMS.sample_rate_hz


def tone(seconds, rate_hz=RATE):
    return 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate_hz)) / rate_hz)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize(("ending", "subtype"), [("wav", "PCM_16"), ("wav", "FLOAT"), ("flac", "PCM_24")])
def test_any_rate_and_format_becomes_16_khz(tmp_path, rate_hz, ending, subtype):
    sf.write(tmp_path / f"tone.{ending}", tone(1.5, rate_hz), rate_hz, subtype=subtype)
    signal = audio.read_mono(tmp_path / f"tone.{ending}", PARAMS)
    inside = slice(RATE // 10, RATE)
    assert signal.dtype == np.float32
    assert len(signal) == pytest.approx(1.5 * RATE, abs=2)
    np.testing.assert_allclose(signal[inside], tone(1.5)[inside], atol=2e-3)


def test_a_file_is_the_same_in_blocks(write, monkeypatch):
    path = write("a.wav", np.random.default_rng(0).standard_normal(50_000) * 0.1, 44_100)
    whole = audio.read_mono(path, PARAMS)
    monkeypatch.setattr(audio, "READ_FRAMES", 1000)
    np.testing.assert_allclose(audio.read_mono(path, PARAMS), whole, atol=1e-6)


def test_channels_are_averaged(write):
    stereo = np.stack((tone(1.1), 0 * tone(1.1)), axis=1)
    np.testing.assert_allclose(audio.read_mono(write("s.wav", stereo), PARAMS), tone(1.1) / 2, atol=1e-6)


def test_a_recorder_that_left_the_length_open_is_read(write):
    path = write("piped.wav", tone(1.1), subtype="PCM_16")
    raw = bytearray(path.read_bytes())
    at = raw.index(b"data") + 4
    raw[at:at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(raw)
    assert len(audio.read_mono(path, PARAMS)) == len(tone(1.1))


def cut_short(path):
    path.write_bytes(path.read_bytes()[:20_000])


@pytest.mark.parametrize(("signal", "damage", "says"), [
    (tone(1.1), cut_short, "is cut short"),
    (tone(1.1), lambda path: path.write_bytes(b"no audio"), "cannot be read as audio"),
    (tone(1.0), None, r"is 1.00 s long; it must be at least 1.04 s"),
    (0 * tone(1.1), None, "is silent"),
    (tone(1.1) * 1e-4, None, "is silent: no second of it is louder than -80 dB"),
    (np.append(tone(1.1), np.nan), None, "holds NaN"),
])
def test_a_file_that_cannot_be_used_is_named(write, signal, damage, says):
    path = write("bad.wav", signal)
    if damage:
        damage(path)
    with pytest.raises(BadInput, match=rf"bad\.wav {says}"):
        audio.read_mono(path, PARAMS, PARAMS.excerpt_length)


def test_ears_come_in_blocks_and_are_never_mixed(write, monkeypatch):
    stereo = np.random.default_rng(0).standard_normal((5_000, 2)) * 0.1
    monkeypatch.setattr(audio, "READ_FRAMES", 1_000)
    blocks = list(audio.ear_blocks(write("s.wav", stereo), PARAMS))
    assert [len(block) for block in blocks] == 5 * [1_000]
    np.testing.assert_allclose(np.concatenate(blocks), stereo, atol=1e-6)


def test_the_ears_are_the_channels_asked_for(write):
    channels = np.random.default_rng(0).standard_normal((1_000, 4)) * 0.1
    ears, = audio.ear_blocks(write("four.wav", channels), PARAMS, channels=(4, 2))
    np.testing.assert_allclose(ears, channels[:, [3, 1]], atol=1e-6)


@pytest.mark.parametrize(("count", "channels", "says"), [
    (1, None, "has one channel"), (3, None, "has 3 channels; name those"), (2, (1, 3), "so --channels 1 3 is not")])
def test_a_recording_without_two_ears_is_refused(write, count, channels, says):
    path = write("bad.wav", np.zeros((100, count)))
    with pytest.raises(BadInput, match=says):
        list(audio.ear_blocks(path, PARAMS, channels))


def test_a_folder_gives_its_usable_files_in_order_and_names_the_others(tmp_path):
    (tmp_path / "b").mkdir()
    for name, seconds in (("b/z.wav", 1.1), ("a.wav", 1.1), ("c.flac", 1.1), ("short.wav", 0.1)):
        sf.write(tmp_path / name, tone(seconds), RATE)
    (tmp_path / "notes.txt").write_text("no audio")
    (tmp_path / ".hidden.wav").write_text("no audio")
    good, problems = audio.find_audio(tmp_path, "--speech", RATE, PARAMS)
    assert [each.name for each in good] == ["a.wav", "b/z.wav", "c.flac"]
    assert good[0].sha256 == sha256_of(tmp_path / "a.wav")
    assert ["short.wav is 0.10 s long" in problem for problem in problems] == [True]


@pytest.mark.parametrize(("folder", "says"), [("nowhere", "--speech .*nowhere is not a folder"),
                                              ("", "--speech .* holds no audio file")])
def test_a_folder_without_audio_is_refused(tmp_path, folder, says):
    with pytest.raises(BadInput, match=says):
        audio.find_audio(tmp_path / folder, "--speech", 1, PARAMS)


@pytest.fixture
def cached(write):
    files = [audio.Audio(write(f"{i}.wav", tone(1.1)), f"{i}", "", 1) for i in range(4)]
    return files, audio.AudioCache(PARAMS, most_bytes=round(3.1 * 17_600 * 4))


def test_the_cache_keeps_within_its_bytes(cached):
    files, cache = cached
    for each in files * 2:
        cache.speech(each)
        assert sum(clip.samples.nbytes + clip.starts.nbytes for clip in cache._clips.values()) <= cache.most_bytes
    assert len(cache._clips) > 1


def test_the_cache_does_not_read_a_file_twice(cached):
    files, cache = cached
    assert cache.speech(files[-1]) is cache.speech(files[-1])


def test_the_cache_drops_what_was_not_used_for_longest(cached):
    files, cache = cached
    first, second, *_ = [cache.speech(each) for each in files[:2]]
    assert cache.speech(files[0]) is first
    cache.speech(files[2])
    cache.speech(files[3])
    assert cache.speech(files[0]) is first
    assert cache.speech(files[1]) is not second


def test_one_file_as_speech_and_as_noise_may_begin_in_different_places(cached):
    files, cache = cached
    assert len(cache.noise(files[0]).starts) > len(cache.speech(files[0]).starts)


def test_a_wav_is_written_as_16_bit_stereo_left_first(tmp_path):
    ears = np.random.default_rng(0).uniform(-1, 1, (2, 100))
    audio.write_wav(tmp_path / "a.wav", ears, RATE)
    signal, rate_hz = sf.read(tmp_path / "a.wav")
    assert rate_hz == RATE
    assert sf.info(tmp_path / "a.wav").subtype == "PCM_16"
    np.testing.assert_allclose(signal.T, ears, atol=1 / 2 ** 15)


def test_a_long_signal_is_read_from_disk_as_from_memory(monkeypatch, write):
    signal = np.random.default_rng(0).normal(0, 0.1, 50_000).astype(np.float32)
    path = write("long.wav", signal)
    whole = audio.read_mono(path, PARAMS)
    monkeypatch.setattr(audio, "LONGEST_IN_MEMORY", 20_000)
    spool = audio.read_mono(path, PARAMS)
    assert spool.nbytes == 0
    for make in (excerpts.speech_clip, excerpts.noise_clip):
        np.testing.assert_array_equal(make(spool, PARAMS).starts, make(whole, PARAMS).starts)
    for start in (0, 25_000, 49_000):
        np.testing.assert_array_equal(excerpts.cut(spool, start, 300, 3_000, around=True),
                                      excerpts.cut(whole, start, 300, 3_000, around=True))


@pytest.mark.parametrize(("rate", "is_told"), [(4_000, True), (7_999, True), (8_000, False), (384_000, False),
                                               (1_000_000, True)])
def test_an_unusual_rate_is_told_once_a_file(tmp_path, capsys, rate, is_told):
    ears = np.random.default_rng(0).normal(0, 0.1, (rate * 2, 2))
    sf.write(tmp_path / "a.wav", ears, rate)
    (speech,), _ = audio.find_audio(tmp_path, "--speech", 1, PARAMS)
    audio.AudioCache(PARAMS).speech(speech)
    told = f"its header states an unusual sample rate of {rate} Hz"
    assert capsys.readouterr().err.count(told) == is_told
    for tells in (False, True):
        list(audio.ear_blocks(speech.path, PARAMS, warns=tells))
    assert capsys.readouterr().err.count(told) == is_told


def test_a_file_that_is_gone_is_told(tmp_path):
    with pytest.raises(BadInput, match=r"a\.wav is gone, .* put it back, then run again \(.*--resume"):
        audio.read_mono(tmp_path / "a.wav", PARAMS)
