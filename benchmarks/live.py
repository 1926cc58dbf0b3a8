"""How soon and how exactly Localise.py --live answers, by the window, and whether it holds for hours.

    python benchmarks/live.py windows --audio DIR                # accuracy and latency of each window: minutes
    python benchmarks/live.py windows --audio DIR --hrir FILE    # at another head or in a room
    python benchmarks/live.py latency --audio DIR                # from sound to line, in real time
    python benchmarks/live.py soak --audio DIR --minutes 60      # memory, lines, drift; faster than real time

Talkers begin in diffuse noise, 20 dB above it, at azimuths drawn. A talker begins when his speech is as loud as the
noise, for the first 5 ms. An onset is answered by the first line within 10 degrees of it. Nothing is a sound card: one
is played (fake_sounddevice.py), without the delay of a driver.
"""
import json
import os
import sys
import time
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import numpy as np
import psutil
import soxr
from scipy.signal import fftconvolve

import console
import hrir
import Localise
from benchmarks.fake_sounddevice import Card, FakeSounddevice
from benchmarks.strangers import noise_around
from network.balance import Balance
from network.likelihood import template_cues
from network.live import LiveTracker, live_params
from network.opening import open_network, shipped_model
from network.tracking import hop_frames_of
from params import Params
from shards.audio import AudioCache, find_audio
from shards.microphone import BLOCK_S
from sound.noise_fields import noise_gain

PAUSE_S, TALK_S = 2.5, 2.5       # of a turn: noise alone, then a talker in it
SNR_DB = 20
BEGINS_DB = -20                  # below the loudest 10 ms of a file, above which its speech begins
ANSWERED_DEG = 10                # off the talker, within which a line answers
WITHIN_DEG = 5
WINDOWS_S = (0.22, 0.26, 0.3, 0.36, 0.5, 1.02)
CARD_RATE_HZ = 48_000
AHEAD_S = 1.0                    # that the card of a soak plays ahead of the lines


class Turn(NamedTuple):
    """A talker at an azimuth who begins at `onset_s` of `ears` (n, 2)."""

    azimuth_deg: int
    onset_s: float
    ears: np.ndarray


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    parser.add_argument("part", choices=("windows", "latency", "soak"))
    parser.add_argument("--audio", metavar="DIR", required=True, help="a folder with SpeechTEST and NoiseTEST")
    parser.add_argument("--hrir", metavar="SET", default="mit_kemar", help="(default: %(default)s)")
    parser.add_argument("--head", metavar="SOFA", help="that the network compares with in place of KEMAR, for windows")
    parser.add_argument("--windows-s", metavar="S", nargs="+", type=float, default=WINDOWS_S,
                        help=f"(default: {' '.join(map(str, WINDOWS_S))})")
    parser.add_argument("--step-deg", metavar="DEG", type=int, default=5, help="of its azimuths (default: %(default)s)")
    parser.add_argument("--turns", metavar="N", type=int, default=60, help="talkers (default: %(default)s)")
    parser.add_argument("--minutes", metavar="M", type=float, default=60, help="of a soak (default: %(default)s)")
    parser.add_argument("--flags", metavar="FLAG", nargs="*", default=[],
                        help="more flags of Localise.py, without their dashes: window-s 0.5")
    return parser.parse_args(argv)


def main(argv=None):
    """Measure one part, and print it."""
    args, params = parse_args(argv), Params()
    turns = turns_of(args, params)
    {"windows": windows, "latency": latency, "soak": soak}[args.part](turns, args, params)


def turns_of(args, params):
    """List Turns of every speech file in turn, through one set of impulse responses, in one noise after another."""
    grid_deg = tuple(range(-90, 91, args.step_deg))
    responses = hrir.load(args.hrir, params.sample_rate_hz, grid_deg, params.hrir_padding_samples)
    audio, rng, rate = AudioCache(params), np.random.default_rng(0), params.sample_rate_hz
    speech, _ = find_audio(Path(args.audio) / "SpeechTEST", "--audio", round((TALK_S + 1) * rate), params)
    noise, _ = find_audio(Path(args.audio) / "NoiseTEST", "--audio", 1, params)
    turns = []
    for number in range(args.turns):
        clip = audio.speech(speech[number % len(speech)]).samples
        level = np.square(clip[:len(clip) // 160 * 160]).reshape(-1, 160).mean(axis=1)
        clip = clip[160 * np.argmax(level > level.max() * 10 ** (BEGINS_DB / 10)):][:round(TALK_S * rate)]
        signal = np.concatenate((np.zeros(round(PAUSE_S * rate)), clip))
        azimuth_deg = int(rng.choice(grid_deg))
        heard, front = (np.stack([fftconvolve(signal, ear)[:len(signal)] for ear in
                                  responses.response[grid_deg.index(each)]]) for each in (azimuth_deg, 0))
        masker = noise_around(rng, responses, audio.noise(noise[number % len(noise)]), len(signal))
        talks = slice(round(PAUSE_S * rate), None)
        masker = masker * noise_gain(front[:, talks], masker[:, talks], SNR_DB)
        level = np.square(heard).mean(axis=0)[:len(signal) // 80 * 80].reshape(-1, 80).mean(axis=1)
        onset_s = 80 * np.argmax(level > np.square(masker).mean()) / rate
        turns.append(Turn(azimuth_deg, float(onset_s), (0.05 * (heard + masker) / np.sqrt(np.square(front).mean())).T
                          .astype(np.float32)))
    return turns


# ------------------------------------------------------------------------------------------------------------- windows

def windows(turns, args, params):
    """Print for each window how late onsets are answered and how exact the rows are that cover the talker alone.

    Late is what the blocks of the card, the resampling and the computing make: processor time, as on a core of its own.
    """
    network = open_network(shipped_model(), template_cues(params, args.head) if args.head else None)
    size = round(BLOCK_S * CARD_RATE_HZ)
    print(f"{args.hrir}, {len(turns)} talkers, {SNR_DB} dB\n\n| window (s) | onset to row, median | 95 % | answered | "
          f"within {WITHIN_DEG} degrees, of all | mean absolute error | rows of noise with a source |\n"
          "|---|---|---|---|---|---|---|", flush=True)
    for window_s in args.windows_s:
        fitted = live_params(replace(params, live_window_s=window_s, hop_s=params.live_hop_s))
        late_s, errors_deg, alarms = [], [], []
        for turn in turns:
            tracker, late = LiveTracker(network.hear_rows, fitted, hop_frames_of(fitted), Balance(fitted)), None
            played = soxr.resample(turn.ears, params.sample_rate_hz, CARD_RATE_HZ)
            to_rate = soxr.ResampleStream(CARD_RATE_HZ, params.sample_rate_hz, 2, dtype="float32")
            for at in range(0, len(played), size):
                begun_s = time.process_time()
                track = tracker.push(to_rate.resample_chunk(played[at:at + size]))
                until_s = (at + size) / CARD_RATE_HZ + time.process_time() - begun_s
                for time_s, azimuth_deg in zip(track.time_s, track.azimuth_deg):
                    begin_s, end_s = time_s - fitted.sample_s / 2, time_s + fitted.sample_s / 2
                    if begin_s >= turn.onset_s:
                        errors_deg.append(azimuth_deg - turn.azimuth_deg)
                    elif end_s <= turn.onset_s:
                        alarms.append(np.isfinite(azimuth_deg))
                    if late is None and end_s > turn.onset_s and abs(azimuth_deg - turn.azimuth_deg) <= ANSWERED_DEG:
                        late = until_s - turn.onset_s
            late_s.append(np.inf if late is None else late)
        errors_deg, is_answered = np.abs(errors_deg), np.isfinite(errors_deg)
        print(f"| {fitted.sample_s:.2f} | {np.median(late_s):.2f} | {np.quantile(late_s, 0.95, method='higher'):.2f} | "
              f"{100 * is_answered.mean():.1f} | {100 * np.mean(errors_deg <= WITHIN_DEG):.1f} | "
              f"{errors_deg[is_answered].mean():.2f} | {100 * np.mean(alarms):.2f} |", flush=True)


# ------------------------------------------------------------------------------------- the whole script, a card played

class PrintedLines:
    """Takes the place of standard output: hands on each line of JSON as a dict, with the time at which it came."""

    def __init__(self, take):
        self._take, self.last_s = take, 0.0

    def write(self, text):
        """Take a line."""
        row = json.loads(text)
        self.last_s = row["time_s"]
        self._take(row, time.monotonic())

    def flush(self):
        """Nothing waits."""


def listen(turns, args, params, take, is_real_time):
    """Run Localise.py --live on the turns, one after the other without an end, until `take` presses Ctrl-C."""
    lines = PrintedLines(take)
    ears = soxr.resample(np.concatenate([turn.ears for turn in turns]), params.sample_rate_hz, CARD_RATE_HZ)
    card = Card("played", ears, CARD_RATE_HZ,
                may_play=None if is_real_time else lambda played_s: played_s < lines.last_s + AHEAD_S)
    sys.modules["sounddevice"] = FakeSounddevice([card])
    flags = [flag if flag[0].isdigit() else f"--{flag}" for flag in args.flags]
    with redirect_stdout(lines):
        Localise.main(["--live", "--json", *flags])
    return card


class Onsets:
    """Which onsets were answered, and when: `late_s` of each, from `turns` that repeat."""

    def __init__(self, turns):
        self._turns, self._number, self.late_s = turns, 0, []
        self._begin_s = 0.0                                   # of the turn that is waited for

    def take(self, azimuth_deg, until_s, now_s):
        """Take a line of which the window ends at `until_s`; `now_s` is the time that counts, both of the card."""
        while True:
            turn = self._turns[self._number % len(self._turns)]
            duration_s = len(turn.ears) / Params().sample_rate_hz
            if len(self.late_s) == self._number and until_s > self._begin_s + turn.onset_s \
                    and azimuth_deg is not None and abs(azimuth_deg - turn.azimuth_deg) <= ANSWERED_DEG:
                self.late_s.append(now_s - self._begin_s - turn.onset_s)
            if until_s < self._begin_s + duration_s:
                return
            if len(self.late_s) == self._number:
                self.late_s.append(np.inf)
            self._number, self._begin_s = self._number + 1, self._begin_s + duration_s


def latency(turns, args, params):
    """Print how long after an onset its line comes, in real time."""
    onsets, begun_s, window_s = Onsets(turns), [], live_params(params).sample_s

    def take(row, now_s):
        until_s = row["time_s"] + window_s / 2
        if not begun_s:                                       # of the card, by what the first line says of itself
            begun_s.append(now_s - row["latency_s"] - until_s)
        onsets.take(row["azimuth_deg"], until_s, now_s - begun_s[0])
        if len(onsets.late_s) >= len(turns):
            raise KeyboardInterrupt

    listen(turns, args, params, take, is_real_time=True)
    late_s = onsets.late_s[:len(turns)]
    print(f"{len(late_s)} onsets, in real time, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores: sound to line "
          f"{np.median(late_s):.2f} s (median), {np.quantile(late_s, 0.95, method='higher'):.2f} s (95 %), at most "
          f"{max(late_s):.2f} s")


def soak(turns, args, params):
    """Print memory, lines that are missing and drift, of as many minutes as asked for."""
    onsets, window_s = Onsets(turns), live_params(params).sample_s
    hop_s = hop_frames_of(replace(params, hop_s=params.live_hop_s)) * params.stft_hop_samples / params.sample_rate_hz
    process, memory_mb, gaps, last, overruns, begun_s = psutil.Process(), [], [], [], [0], time.monotonic()

    def take(row, _):
        gaps.append(row["time_s"] - last[-1] > 1.5 * hop_s if last else row["time_s"] > window_s)
        last[:], overruns[:] = [row["time_s"]], [row["overruns"]]
        minute = int(row["time_s"] / 60)
        if minute >= len(memory_mb):
            memory_mb.append(process.memory_info().rss / 1e6)
            console.warn(f"minute {minute}: {memory_mb[-1]:.0f} MB, {time.monotonic() - begun_s:.0f} s")
        onsets.take(row["azimuth_deg"], row["time_s"] + window_s / 2, row["time_s"] + window_s / 2)
        if row["time_s"] >= 60 * args.minutes:
            raise KeyboardInterrupt

    listen(turns, args, params, take, is_real_time=False)
    rounds = np.array(onsets.late_s[:len(onsets.late_s) // len(turns) * len(turns)]).reshape(-1, len(turns))
    drift_s = (rounds[-1] - rounds[1])[np.isfinite(rounds[1]) & np.isfinite(rounds[-1])]     # of the same talkers
    middle = len(memory_mb) // 2
    print(f"{last[0] / 60:.1f} minutes in {(time.monotonic() - begun_s) / 60:.1f}: {len(gaps)} lines, {sum(gaps)} "
          f"missing, {overruns[-1]} overruns; memory {memory_mb[0]:.0f} MB at the start, {memory_mb[1]:.0f} after a "
          f"minute, {memory_mb[middle]:.0f} in the middle, {memory_mb[-1]:.0f} at the end; onsets of round "
          f"{len(rounds)} are answered {1000 * drift_s.mean():+.1f} ms later than those of the second")


if __name__ == "__main__":
    sys.exit(console.run(main))
