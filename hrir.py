"""Head-related and binaural room impulse responses: sets -> (azimuth, ear, tap) and their azimuths in degrees.

    head = hrir.load("mit_kemar", sample_rate_hz=16_000, azimuth_deg=range(-90, 91, 5))
    head.response.shape, head.description     # (37, 2, 258), "mit_kemar: 37 directions from -90 to 90 degrees, ..."
    hrir.load("room.sofa", 16_000, [-12.5, 0, 30])                  # any SOFA file with the horizontal plane

A direction comes from the nearest measured one within a degree, else its two neighbours are interpolated, magnitude and
delay apart. Which ear is which is checked against the data, because published files get it wrong.
"""
import re
from glob import glob, has_magic
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr

from console import BadInput, sha256_of
from hrtf.interpolation import DIRECT_S, interpolated, onset
from hrtf.sofa import Measured, read_sofa

FOLDER = Path(__file__).resolve().parent / "hrtf"
FULL_SCALE = 2 ** 15          # the shipped set is stored as the 16-bit integers that were measured
LEFT_RIGHT = ("check", "keep", "mirror")
NEAR_DEG = 1.0                # a measured direction this near stands for the one asked for
WIDEST_GAP_DEG = 20.0         # between neighbours that are interpolated: the delays of a head change by 0.15 ms
SIDE_DEG = 30.0               # from here on outwards a head's shadow tells left from right
CLEAR_LEVEL_DB, CLEAR_DELAY_S = 1.0, 0.1e-3  # least differences between the ears that tell left from right
LOW_PASS_HZ = 1500.0          # below, a head bends sound without echoes of its own
LONGEST_DELAY_S = 1e-3        # between the ears; 0.65 to 0.75 ms are common
BEFORE_ONSET_S = 1e-3         # of what is taken for the direct sound
ROOM_S = 0.06                 # responses that ring longer than this are of a room


class Hrirs(NamedTuple):
    """Hold the responses of one head, perhaps in a room.

    `response` float32 (azimuth, ear, tap) at the rate asked for, left ear first; `azimuth_deg` float64 (azimuth,),
    negative = left; `rt60_s` of the room, NaN without one; `description` one line for people; `measured` float64
    (azimuth, ear, tap) at `measured_rate_hz`, which `resized` starts from; `sha256` of the file. Of several sets
    `share` is how often this one is drawn, relative to the others, and `of` what named it: a file, or a folder of them.
    """

    name: str
    response: np.ndarray
    azimuth_deg: np.ndarray
    rt60_s: float
    description: str
    measured: np.ndarray
    measured_rate_hz: int
    sha256: str
    share: float = 1.0
    of: str = ""


def load(source, sample_rate_hz, azimuth_deg, padding_samples=100, left_right="check"):
    """Load a set of responses at the directions and the sample rate asked for.

    Parameters
    ----------
    source : str or path: "mit_kemar" (Gardner and Martin 1994), or a SOFA file (AES69)
    sample_rate_hz : int, the rate wanted
    azimuth_deg : sequence of float, the directions wanted, negative = left
    padding_samples : int, zeros before and after the measured taps for the resampler to ring in. Without them its
        response is up to 1.3 dB off, with 100 less than 0.1 dB. All arrivals come that much later.
    left_right : "check", "keep" or "mirror": "check" compares ears and azimuths with the data, corrects them where they
        are mirrored, and refuses a set that is undecided; "keep" trusts the file; "mirror" exchanges left and right

    Returns
    -------
    Hrirs, scaled so that the frequency response does not depend on the sample rate

    Raises
    ------
    BadInput : there is no such set or file, or it is no SOFA file of two ears, lacks a direction, or is undecided

    Examples
    --------
    >>> head = load("mit_kemar", 16_000, azimuth_deg=[-90, 0, 90])
    >>> head.response.shape
    (3, 2, 258)
    >>> [onset(left) - onset(right) for left, right in head.response]      # the near ear leads by 11 taps, 0.7 ms
    [-11, 0, 11]

    """
    return at_azimuths(read(source, left_right), sample_rate_hz, azimuth_deg, padding_samples)


def at_azimuths(measured, sample_rate_hz, azimuth_deg, padding_samples=100):
    """Take a set that was `read` at the directions asked for: Hrirs, as `load` does.

    Examples
    --------
    >>> head = at_azimuths(read("mit_kemar"), 44_100, azimuth_deg=[0, 12.5])    # 12.5: between 10 and 15
    >>> head.response.shape, head.azimuth_deg.tolist()
    ((2, 2, 512), [0.0, 12.5])

    """
    response = np.stack([_at(measured, float(azimuth)) for azimuth in azimuth_deg])
    rate = measured.sample_rate_hz
    rt60_s = reverberation_time_s(response[front(azimuth_deg)], rate)
    room = "" if np.isnan(rt60_s) else f", RT60 {rt60_s:.2f} s"
    description = (f"{measured.name}: {len(measured.azimuth_deg)} directions from {measured.azimuth_deg[0]:g} to "
                   f"{measured.azimuth_deg[-1]:g} degrees, {rate} Hz, {measured.response.shape[-1]} taps{room}, "
                   f"licence: {measured.licence}" + "".join(f"; {each}" for each in measured.corrections))
    return Hrirs(measured.name, _resampled(response, rate, sample_rate_hz, padding_samples),
                 np.asarray(azimuth_deg, np.float64), rt60_s, description, response, rate, measured.sha256)


def resized(head, size, sample_rate_hz, padding_samples=100):
    """Stretch the responses of a head as if it were `size` times as large: all delays and wavelengths grow with it.

    The time axis is stretched at the measured rate, so a set of 44.1 kHz fills the band up to 8 kHz at any size. A set
    measured at 16 kHz lacks what lies above 8 kHz / size. Not for rooms, which would grow with the head.

    Parameters
    ----------
    head : Hrirs
    size : float, 1 = as measured
    sample_rate_hz, padding_samples : as for `load`

    Returns
    -------
    np.ndarray [shape=(azimuth, ear, tap)], float32; the longer the larger

    Examples
    --------
    All delays grow with the head, the interaural one too; here in taps of 1/16 ms, of 0.8 and 1 times its size:

    >>> head = load("mit_kemar", 16_000, azimuth_deg=[90])
    >>> [onset(left) - onset(right) for size in (0.8, 1) for left, right in resized(head, size, 16_000)]
    [9, 11]

    """
    return _resampled(head.measured, head.measured_rate_hz / size, sample_rate_hz, padding_samples)


def front(azimuth_deg):
    """Find the row of the direction nearest to azimuth 0, which the SNR refers to.

    >>> front(range(-90, 91, 5))
    18
    """
    return int(np.argmin(np.abs(np.asarray(azimuth_deg))))


def _resampled(response, rate_hz, sample_rate_hz, padding_samples):
    if rate_hz == sample_rate_hz:
        return response.astype(np.float32)
    padded = np.pad(response, ((0, 0), (0, 0), (padding_samples, padding_samples)))
    taps_first = padded.reshape(-1, padded.shape[-1]).T  # soxr's axis; its phase is linear, so arrival times stay
    resampled = soxr.resample(taps_first, rate_hz, sample_rate_hz, quality="VHQ").T
    return (resampled.reshape(*response.shape[:2], -1) * (rate_hz / sample_rate_hz)).astype(np.float32)


# -------------------------------------------------------------------------------------------------------- one direction

def can_give(measured, azimuth_deg):
    """Tell whether a set that was `read` has a direction, or two neighbours of it to interpolate.

    >>> [can_give(read("mit_kemar"), azimuth_deg) for azimuth_deg in (30, 32, 95)]
    [True, True, False]
    """
    return _neighbours(measured, azimuth_deg) is not None


def _neighbours(measured, azimuth_deg):
    """Find the neighbours of a direction: their two rows, and the weight of the second; None where there are none.

    Within NEAR_DEG of a measured direction both are its row.
    """
    offset = (measured.azimuth_deg - azimuth_deg + 180) % 360 - 180
    nearest = int(np.argmin(np.abs(offset)))
    if abs(offset[nearest]) <= NEAR_DEG:
        return nearest, nearest, 0.0
    before = int(np.where(offset < 0, offset, -np.inf).argmax())
    after = int(np.where(offset > 0, offset, np.inf).argmin())
    if offset[before] >= 0 or offset[after] <= 0 or offset[after] - offset[before] > WIDEST_GAP_DEG:
        return None
    return before, after, -offset[before] / (offset[after] - offset[before])


def _at(measured, azimuth_deg):
    """Give the response (ear, tap) of one direction; BadInput where the set cannot give it."""
    neighbours = _neighbours(measured, azimuth_deg)
    if neighbours is None:
        nearest = np.argmin(np.abs((measured.azimuth_deg - azimuth_deg + 180) % 360 - 180))
        raise BadInput(f"--azimuth-deg {azimuth_deg:g} is not possible with {measured.name}: its nearest measured "
                       f"direction is {measured.azimuth_deg[nearest]:g} degrees; leave it out or take another set.")
    before, after, weight = neighbours
    if before == after:
        return measured.response[before]
    return np.stack([interpolated(*pair, weight, measured.sample_rate_hz)
                     for pair in zip(measured.response[before], measured.response[after])])


def reverberation_time_s(response, rate_hz):
    """Measure the RT60 of a room from one response of two ears: its decay from -5 to -25 dB (ISO 3382-1, T20).

    Parameters
    ----------
    response : np.ndarray [shape=(2, tap)]
    rate_hz : int

    Returns
    -------
    float, seconds; NaN where the response is shorter than a room's

    Examples
    --------
    Noise that decays by 60 dB in 0.4 s:

    >>> noise = np.random.default_rng(0).standard_normal((2, 16000)) * 10 ** (-3 * np.arange(16000) / 16000 / 0.4)
    >>> round(reverberation_time_s(noise, 16000), 2)
    0.4

    """
    first = min(onset(ear) for ear in response)
    power = np.square(response[:, first:]).sum(axis=0)
    decay_db = 10 * np.log10(np.cumsum(power[::-1])[::-1] / power.sum() + 1e-12)   # Schroeder 1965
    begin, end = int(np.argmax(decay_db < -5)), int(np.argmax(decay_db < -25))
    late = int(np.argmax(decay_db < -60)) or len(power)
    if end <= begin or late < ROOM_S * rate_hz or end < ROOM_S / 3 * rate_hz:
        return float("nan")
    slope_db_per_sample = np.polyfit(np.arange(begin, end), decay_db[begin:end], 1)[0]
    return float(-60 / slope_db_per_sample / rate_hz)


# ---------------------------------------------------------------------------------------------------------------- files

def sources_of(source):
    """List the sets that a name stands for: a set that ships or a file itself, the SOFA files of a folder or a pattern.

    Raises BadInput for a folder or pattern without any.

    >>> sources_of("mit_kemar")
    ['mit_kemar']
    """
    if Path(source).is_dir():
        found = sorted(path for path in Path(source).iterdir() if path.suffix.lower() == ".sofa")
    elif Path(source).is_file() or not has_magic(str(source)):
        return [source]
    else:
        found = sorted(glob(str(source)))
    if not found:
        raise BadInput(f"--hrir {source} holds no SOFA file; name another folder or pattern.")
    return list(map(str, found))


def collection_of(name):
    """Name the collection that a set is of: the set's own name up to its first digit or underscore.

    >>> [collection_of(name) for name in ("cipic_008", "sadie1_003", "pp12_measured")]
    ['cipic', 'sadie', 'pp']
    """
    return re.match(r"[^\d_]*", name)[0]


def read(source, left_right="check", receivers=()):
    """Read a set as `load` does, without choosing directions or resampling: Measured.

    >>> read("mit_kemar").response.shape      # direction, ear, tap
    (37, 2, 512)
    """
    if left_right not in LEFT_RIGHT:
        raise BadInput(f"--left-right {left_right} is not possible: it takes {', '.join(LEFT_RIGHT)}.")
    shipped = FOLDER / f"{source}.npz"
    if shipped.is_file():
        return _read_shipped(shipped)
    path = Path(source)
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in FOLDER.glob("*.npz")))
        raise BadInput(f"--hrir {source} is neither a set that ships ({names}) nor a SOFA file; check the name.")
    return _left_and_right(read_sofa(path, receivers), left_right)


def _read_shipped(path):
    with np.load(path, allow_pickle=False) as stored:
        return Measured(path.stem, sha256_of(path), stored["impulse_response"].astype(np.float64) / FULL_SCALE,
                        stored["azimuth_deg"].astype(np.float64), int(stored["sample_rate_hz"]),
                        "free, cite Gardner and Martin 1994", ())


# ------------------------------------------------------------------------------------------------------- left and right

def _left_and_right(measured, left_right):
    """Check by level and arrival time of both sides that right is right, and correct what is mirrored."""
    verdict = {"keep": 1, "mirror": -1}.get(left_right) or _verdict(measured)
    if verdict is None:
        raise BadInput(f"{measured.name} does not tell left from right by level and arrival time; give --left-right "
                       "keep (as the file has it) or mirror.")
    if verdict > 0:
        return measured
    if measured.corrections and measured.corrections[0].startswith("ears"):  # receiver positions, and nothing else
        return measured._replace(response=measured.response[:, ::-1],
                                 corrections=("receivers exchanged: its receiver positions contradict its data",
                                              *measured.corrections[1:]))
    order = np.argsort(-measured.azimuth_deg)
    return measured._replace(response=measured.response[order], azimuth_deg=-measured.azimuth_deg[order],
                             corrections=("azimuths mirrored: the file counts them clockwise", *measured.corrections))


def _verdict(measured):
    """Judge a set by its data: 1 is right, -1 mirrored, None where the evidence is weak or contradicts itself.

    Single directions mislead: behind the head sound from both ways round may meet as strongly as the direct sound. So
    the delay is the median over a whole side, of onsets below LOW_PASS_HZ, and the level the mean of both sides, from
    which the ears' own gains cancel. Each votes where it is clear.
    """
    votes, levels_db = set(), []
    for half in (-1, 1):  # left, right
        rows = np.flatnonzero(half * np.sin(np.deg2rad(measured.azimuth_deg)) >= np.sin(np.deg2rad(SIDE_DEG)))
        if not len(rows):
            continue
        direct = _direct_sound(measured.response[rows], measured.sample_rate_hz)
        earlier_s = np.median([_right_ear_earlier_s(pair, measured.sample_rate_hz) for pair in direct])
        if abs(earlier_s) >= CLEAR_DELAY_S:
            votes.add(int(half * np.sign(earlier_s)))
        left, right = np.square(direct).sum(axis=(0, 2))
        levels_db.append(half * 10 * np.log10((right + 1e-30) / (left + 1e-30)))
    if votes and abs(np.mean(levels_db)) >= CLEAR_LEVEL_DB:  # levels without delays are no head's
        votes.add(int(np.sign(np.mean(levels_db))))
    return votes.pop() if len(votes) == 1 else None


def _direct_sound(response, rate_hz):
    """Cut the direct sound from responses (direction, 2, tap): a list of (2, n), beginning shortly before it."""
    first = [min(map(onset, pair)) for pair in response]
    before, behind = round(BEFORE_ONSET_S * rate_hz), round(DIRECT_S * rate_hz)
    padded = np.pad(response, ((0, 0), (0, 0), (before, behind)))
    return np.stack([pair[:, begin:begin + before + behind] for pair, begin in zip(padded, first)])


def _right_ear_earlier_s(ears, rate_hz):
    """Measure how much earlier a sound reaches the right ear: the peak of the low-passed ears' cross-correlation."""
    hz = np.fft.rfftfreq(3 * ears.shape[-1], 1 / rate_hz)
    low_pass = 1 / (1 + (hz / LOW_PASS_HZ) ** 4)           # a Butterworth filter, forwards and backwards: no delay
    left, right = np.fft.irfft(np.fft.rfft(np.pad(ears, ((0, 0), (ears.shape[-1],) * 2))) * low_pass)
    reach = round(LONGEST_DELAY_S * rate_hz)
    middle = len(left) - 1
    correlation = np.correlate(left, right, "full")[middle - reach:middle + reach + 1]
    return (int(np.argmax(correlation)) - reach) / rate_hz
