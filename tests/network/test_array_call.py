"""Blocks of any lengths and rates give the rows of the whole, as soon as their seconds are complete."""
import re
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
import soundfile as sf
from helpers import ROOT, FakeHearing

from console import BadInput
from network import array_call, localise, localise_blocks

SIGNAL = np.random.default_rng(0).normal(0, 0.1, (4 * 44_100, 2))


@pytest.fixture(autouse=True)
def hearing(monkeypatch):
    """A network that hears the same everywhere and keeps what it got."""
    fake = FakeHearing()
    monkeypatch.setattr(array_call, "_network", lambda *_: SimpleNamespace(hear_rows=fake))
    return fake


def joined(tracks):
    return [np.concatenate(values) for values in zip(*tracks)]


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("length", [700, 5_000, len(SIGNAL)])
def test_the_length_of_blocks_does_not_matter(hearing, rate, length):
    signal = SIGNAL[:round(3.02 * rate)]                              # whose last second ends a row
    whole = localise(signal, rate, balances=False)
    assert whole.time_s[-1] == pytest.approx(2.51)
    heard = np.concatenate(hearing.seen)
    hearing.seen.clear()
    blocks = (signal[at:at + length] for at in range(0, len(signal), length))
    tracks = list(localise_blocks(blocks, rate, balances=False))
    for one, other in zip(joined(tracks), whole, strict=True):
        np.testing.assert_allclose(one.astype(float), other.astype(float), atol=1e-4)
    np.testing.assert_allclose(np.concatenate(hearing.seen)[..., 1], heard[..., 1], atol=0.05)   # ILD in dB


def test_a_row_comes_as_soon_as_its_second_is_complete():
    pushed = []

    def blocks():
        for at in range(0, 16_000 * 3, 1_600):
            pushed.append(at + 1_600)
            yield SIGNAL[at:at + 1_600]

    for track in localise_blocks(blocks(), 16_000, balances=False):
        assert 0 <= pushed[-1] - (track.time_s[-1] + 0.51) * 16_000 < 1_600


@pytest.mark.parametrize(("block", "message"), [
    (np.zeros((2, 100)), r"shape \(2, 100\)"), (np.zeros(100), r"shape \(100,\)"),
    (np.zeros((100, 2), np.int16), "int16"), (np.full((100, 2), np.nan), "NaN")])
def test_other_blocks_are_refused(block, message):
    with pytest.raises(BadInput, match=message):
        list(localise_blocks([block], 16_000))


def test_a_hop_between_two_frames_is_refused():
    with pytest.raises(BadInput, match="hop-s 0.05"):
        localise(np.zeros((20_000, 2)), 16_000, hop_s=0.05)


def test_nothing_gives_nothing():
    assert list(localise_blocks([], 16_000)) == []


@pytest.mark.parametrize("sources", [1, 2])
def test_pandas_takes_the_fields(monkeypatch, sources):
    talkers_deg = np.tile([-40.0, 25.0], (30, 1))
    monkeypatch.setattr(array_call, "_network",
                        lambda *_: SimpleNamespace(hear_rows=FakeHearing(talkers_deg=talkers_deg)))
    heard = localise(SIGNAL[:3 * 44_100], 44_100, sources=sources)
    fields = (heard if sources == 1 else heard[0])._asdict()
    assert {np.shape(values) for values in fields.values()} == {fields["time_s"].shape}  # what a DataFrame asks for
    assert list(pandas.DataFrame(fields).columns) == list(fields)


@pytest.mark.parametrize("at", range(4))
def test_the_examples_of_the_docs_run(tmp_path, monkeypatch, capsys, at):
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.S)
    assert len(examples) == 4
    for name in ("talk", "hours"):
        sf.write(tmp_path / f"{name}.wav", SIGNAL[:2 * 44_100], 44_100)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(array_call, "_network",
                        lambda *_: SimpleNamespace(hear_rows=FakeHearing(talkers_deg=np.tile([-40.0], (100, 1)))))
    monkeypatch.setenv("MPLBACKEND", "agg")
    names = {}
    exec(examples[0], names)
    exec(examples[at], names)
    if at == 3:
        assert "10.0" in capsys.readouterr().out
