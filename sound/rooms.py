"""Simulated rooms: a head's anechoic responses -> its responses in a shoebox room. Arrays only.

    room = rooms.draw(rng, rt60_s=(0.1, 1.0), drr_db=(-3, 15))
    near, tail = rooms.responses(room, head.response, head.azimuth_deg, 16_000, rng)   # (37, 2, tap), (2, tap)

The first reflections are image sources (Allen and Berkley 1979), each with the HRIR of its own direction; what follows
is noise that decays with the reverberation time and has the coherence that a diffuse field has at this head's ears.
Absorption grows with frequency, as that of curtains, carpets and air does, so treble decays faster. In every other room
the head stands on a table, whose top reflects the source a fraction of a millisecond to a few after the direct sound
and, as it comes from below, with the delays of a source nearer to the front. Simpler than a room: all walls absorb
alike, and the late part is the same for every azimuth (in a diffuse field it does not depend on it).
"""
from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

SPEED_OF_SOUND_M_PER_S = 343.0
LEAST_ROOM_M, GREATEST_ROOM_M = (3.0, 3.0, 2.4), (15.0, 13.0, 4.5)
DISTANCE_M = (0.5, 6.0)       # of a talker
MOST_REFLECTIONS = 2          # of an image source: 24 images
EARLY_S = 0.025               # reflections carry the energy that decays in this time, the tail the rest;
EARLY_SHARE = 1 / 20           # in rooms of short reverberation in this share of the RT60
LATEST_IMAGE_S = 0.05
WALL_TAPS = 32                # in which a wall's smooth response has died away
WALL_DISTANCE_M = 0.4         # least, of head and source
TABLE_SHARE = 0.5             # of the rooms
TABLE_BELOW_M = (0.2, 0.9)    # the ears
TABLE_GAIN = (0.1, 0.6)       # of what a rigid plane would reflect: tables end, and things lie on them
COHERENCE_BINS = 257          # a head's responses are short, so its coherence is smooth
REFERENCE_HZ = 1000.0         # where the reverberation time is the one asked for
MOST_TREBLE = 0.2             # per kHz: at 5 kHz the reverberation time is down to 1 / 1.8 of that at 1 kHz
TAIL_BANDS_HZ = (0.0, 2000.0, 4500.0, 8000.0)  # the tail decays in bands around these


class Room(NamedTuple):
    """Hold a shoebox room, a head in it that faces `yaw_deg` (0 = +x), and a source `distance_m` away.

    `rt60_s` is the reverberation time at 1 kHz. Absorption grows with every kHz by the share `treble` of it. A table's
    top `table_below_m` below ears and source reflects `table_gain` of the sound pressure; 0 is no table.
    """

    size_m: np.ndarray
    listener_m: np.ndarray
    yaw_deg: float
    distance_m: float
    rt60_s: float
    drr_db: float
    treble: float = 0.0
    table_below_m: float = 0.0
    table_gain: float = 0.0

    def rt60_at(self, hz):
        """Compute the reverberation time in seconds at frequencies in Hz."""
        return self.rt60_s / (1 + self.treble * (hz - REFERENCE_HZ) / 1000)


def draw(rng, rt60_s, drr_db):
    """Draw a room of LEAST_ROOM_M to GREATEST_ROOM_M, its RT60 and DRR from their ranges, and perhaps a table.

    RT60 and distance are drawn evenly in their logarithms.

    >>> room = draw(np.random.default_rng(0), rt60_s=(0.5, 0.5), drr_db=(-3, 15))
    >>> round(room.rt60_s, 3), bool(0.5 <= room.distance_m < 6), bool(room.rt60_at(5000) < 0.5)
    (0.5, True, True)
    """
    size = rng.uniform(LEAST_ROOM_M, GREATEST_ROOM_M)
    farthest = min(size[:2].min() / 2 - WALL_DISTANCE_M, DISTANCE_M[1])
    distance = float(np.exp(rng.uniform(np.log(DISTANCE_M[0]), np.log(farthest))))
    margin = distance + WALL_DISTANCE_M - 1e-9
    listener = np.array([*rng.uniform(margin, size[:2] - margin), rng.uniform(1.1, 1.8)])
    return Room(size, listener, rng.uniform(0, 360), distance, float(np.exp(rng.uniform(*np.log(rt60_s)))),
                float(rng.uniform(*drr_db)), float(rng.uniform(0, MOST_TREBLE)), float(rng.uniform(*TABLE_BELOW_M)),
                float(rng.uniform(*TABLE_GAIN)) if rng.random() < TABLE_SHARE else 0.0)


def responses(room, response, azimuth_deg, sample_rate_hz, rng):
    """Compute the responses of a head in a room.

    The direct sound is the head's own response, untouched. Reflections and tail are scaled together: with the source in
    front (the row nearest to 0 degrees) the energy of both ears has the room's direct-to-reverberant ratio. They share
    it as a decay of this reverberation time does. What a table reflects counts as neither: mostly it arrives within the
    2.5 ms that are commonly taken for the direct sound.

    Parameters
    ----------
    room : Room
    response : np.ndarray [shape=(azimuth, 2, tap)], the head in the free field
    azimuth_deg : np.ndarray [shape=(azimuth,)], ascending
    sample_rate_hz : int
    rng : np.random.Generator, for the tail

    Returns
    -------
    near : np.ndarray [shape=(azimuth, 2, tap + latest reflection)], float32: direct sound and first reflections
    tail : np.ndarray [shape=(2, n)], float32: what is added to each of them

    Examples
    --------
    A direct-to-reverberant ratio of 3 dB leaves half the energy to the room:

    >>> room = Room(np.array([6.0, 5.0, 3.0]), np.array([3.0, 2.5, 1.5]), 0.0, 1.2, rt60_s=0.3, drr_db=3.0)
    >>> click = np.zeros((37, 2, 10))
    >>> click[..., 0] = 1
    >>> near, tail = responses(room, click, np.arange(-90, 91, 5), 16_000, np.random.default_rng(0))
    >>> whole = np.zeros((2, 8000))
    >>> whole[:, :near.shape[-1]] += near[18]
    >>> whole[:, :tail.shape[-1]] += tail
    >>> round(float(2 / np.square(whole[:, 10:]).sum()), 1)      # direct over reverberant energy
    2.0

    """
    azimuth_deg = np.asarray(azimuth_deg)
    in_front = int(np.argmin(np.abs(azimuth_deg)))
    reflections = _first_reflections(room, response, azimuth_deg, sample_rate_hz)
    tail = _tail(room, response, azimuth_deg, sample_rate_hz, rng)
    late_share = 10 ** (-6 * _early_s(room) / room.rt60_s)  # energy falls by 60 dB in an RT60
    reflections *= np.float32(np.sqrt((1 - late_share) / np.square(reflections[in_front]).sum()))
    tail *= np.sqrt(late_share / np.square(tail).sum())
    both = np.zeros((2, max(tail.shape[-1], reflections.shape[-1])))
    both[:, :tail.shape[-1]] = tail
    both[:, :reflections.shape[-1]] += reflections[in_front]
    reverberant = np.square(response[in_front], dtype=np.float64).sum() * 10 ** (-room.drr_db / 10)
    scale = np.float32(np.sqrt(reverberant / np.square(both).sum()))
    reflections *= scale
    reflections[..., :response.shape[-1]] += response
    if room.table_gain:
        _add_table(reflections, room, response, azimuth_deg, sample_rate_hz)
    return reflections, (scale * tail).astype(np.float32)


def _early_s(room):
    return min(EARLY_S, EARLY_SHARE * room.rt60_s)


def _first_reflections(room, response, azimuth_deg, sample_rate_hz):
    taps = response.shape[-1]
    out = np.zeros((*response.shape[:2], taps + int(LATEST_IMAGE_S * sample_rate_hz) + 1), np.float32)
    volume_over_surface_m = room.size_m.prod() / (2 * (room.size_m[0] * room.size_m[1] + room.size_m[0] * room.size_m[2]
                                                       + room.size_m[1] * room.size_m[2]))
    size = next_fast_len(taps + WALL_TAPS, real=True)
    hz = np.linspace(0, sample_rate_hz / 2, size // 2 + 1)
    # Eyring 1930: ln(1 - a) = -0.161 V / (S T); without phase, which for so smooth a curve takes less than a tap
    wall = np.exp(-0.161 * volume_over_surface_m / room.rt60_at(hz) / 2)
    spectrum = rfft(response, size)
    behind_walls = [irfft(spectrum * wall ** walls, size)[..., :taps].astype(np.float32)
                    for walls in range(1, MOST_REFLECTIONS + 1)]
    heading = np.deg2rad(room.yaw_deg - azimuth_deg)                        # azimuth grows clockwise
    source = room.listener_m + room.distance_m * np.stack([np.cos(heading), np.sin(heading), 0 * heading], axis=-1)
    right = np.array([np.sin(np.deg2rad(room.yaw_deg)), -np.cos(np.deg2rad(room.yaw_deg)), 0.0])

    image, count = _images(source, room.size_m)                             # (azimuth, image, 3), (image,)
    path = image - room.listener_m
    metres = np.linalg.norm(path, axis=-1)
    delay, gain = _after_direct(room, metres, sample_rate_hz)
    row = _row_of_path(path @ right / metres, azimuth_deg)
    for target in range(len(azimuth_deg)):
        for each in np.flatnonzero(delay[target] < out.shape[-1] - taps):
            at = delay[target, each]
            out[target, :, at:at + taps] += gain[target, each] * behind_walls[count[each] - 1][row[target, each]]
    return out


def _after_direct(room, metres, sample_rate_hz):
    """Compute how many samples after the direct sound paths of some lengths arrive, and their gains relative to it."""
    delay = np.rint((metres - room.distance_m) / SPEED_OF_SOUND_M_PER_S * sample_rate_hz).astype(int)
    return delay, (room.distance_m / metres).astype(np.float32)


def _row_of_path(sine, azimuth_deg):
    """Find the row of the front half plane whose cues paths have, by the component of their direction to the right."""
    lateral_deg = np.rad2deg(np.arcsin(np.clip(sine, -1, 1)))
    return np.searchsorted((azimuth_deg[1:] + azimuth_deg[:-1]) / 2, lateral_deg)


def _add_table(near, room, response, azimuth_deg, sample_rate_hz):
    """Add the image of each source in the table's top, which is as far below the ears as below the source."""
    metres = np.hypot(room.distance_m, 2 * room.table_below_m)
    begins, gain = _after_direct(room, metres, sample_rate_hz)
    row = _row_of_path(np.sin(np.deg2rad(azimuth_deg)) * room.distance_m / metres, azimuth_deg)
    near[..., begins:begins + response.shape[-1]] += np.float32(room.table_gain) * gain * response[row]


def _images(source, size_m):
    """Mirror sources (azimuth, 3) at up to MOST_REFLECTIONS walls: images (azimuth, image, 3) and counts of walls."""
    span = range(-MOST_REFLECTIONS, MOST_REFLECTIONS + 1)
    cells = np.array([(x, y, z) for x in span for y in span for z in span
                      if 0 < abs(x) + abs(y) + abs(z) <= MOST_REFLECTIONS])
    mirrored = np.where(cells % 2 == 0, 1, -1)                        # in an odd cell the room is its mirror image
    origin = np.where(cells % 2 == 0, cells, cells + 1) * size_m
    return source[:, np.newaxis] * mirrored + origin, np.abs(cells).sum(axis=1)


def _tail(room, response, azimuth_deg, sample_rate_hz, rng):
    """Draw noise of two ears (2, n) with the spectra and coherence of a diffuse field, decaying by 60 dB."""
    begins = int(np.abs(response).max(axis=(0, 1)).argmax())          # with the direct sound
    length = begins + int(room.rt60_s * sample_rate_hz)
    size = next_fast_len(length, real=True)
    left, right, cross = diffuse_field(response, azimuth_deg, size)
    white = rng.standard_normal((2, 2, size // 2 + 1)).astype(np.float32)
    one, other = white[0] + 1j * white[1]
    # Cholesky factor of the spectral matrix: `other` is the part of the right ear that is independent of the left
    at_left = np.sqrt(left) * one
    at_right = np.conj(cross) / np.sqrt(left) * one + np.sqrt(np.maximum(right - np.abs(cross) ** 2 / left, 0)) * other
    seconds = (np.arange(length) - begins) / sample_rate_hz
    hz, spectra = np.linspace(0, sample_rate_hz / 2, size // 2 + 1), np.stack([at_left, at_right])
    noise = np.zeros((2, length))
    for band, middle_hz in enumerate(TAIL_BANDS_HZ):                         # their weights add up to one
        weight = np.interp(hz, TAIL_BANDS_HZ, np.eye(len(TAIL_BANDS_HZ))[band])
        noise += irfft(spectra * weight, size)[:, :length] * 10 ** (-3 * seconds / room.rt60_at(middle_hz))
    return noise * np.sin(np.pi / 2 * np.clip(seconds / _early_s(room), 0, 1))  # rises while first reflections fade


def diffuse_field(response, azimuth_deg, size):
    """Compute the power spectra of both ears and their cross spectrum in a diffuse field: three (bin,) arrays.

    The cross spectrum is left times conjugate right. Summed over the directions in front, those with a mirror image
    behind counted twice, each as wide as the grid makes it; at the bins of an FFT of `size` samples.

    >>> left, right, cross = diffuse_field(np.ones((37, 2, 1)), np.arange(-90, 91, 5), size=640)
    >>> bool(np.allclose(np.abs(cross) ** 2 / (left * right), 1))      # ears at one point are coherent
    True
    """
    width = np.gradient(np.asarray(azimuth_deg, np.float64)) if len(azimuth_deg) > 1 else np.ones(1)
    weight = width * np.where(np.abs(azimuth_deg) > 89.9, 1, 2)
    taps = 2 * (COHERENCE_BINS - 1)
    folded = response[..., :taps]                                     # a room's late part is not the head's
    spectra = rfft(folded, taps)
    left, right, cross = (np.einsum("a,af->f", weight, product) for product in (
        np.abs(spectra[:, 0]) ** 2, np.abs(spectra[:, 1]) ** 2, spectra[:, 0] * np.conj(spectra[:, 1])))
    coarse, fine = np.linspace(0, 1, COHERENCE_BINS), np.linspace(0, 1, size // 2 + 1)
    floor = 1e-9 * left.max()
    return (np.interp(fine, coarse, left) + floor, np.interp(fine, coarse, right) + floor,
            np.interp(fine, coarse, cross.real) + 1j * np.interp(fine, coarse, cross.imag))
