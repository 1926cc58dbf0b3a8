"""Mixtures: draws scenes as Params asks for them, and puts speech and noise at the ears. Arrays in, arrays out.

    mixer = mixing.Mixer(params, heads)
    speech = mixer.speech(rng, clip)                       # a place, an excerpt, heard from every azimuth
    noise = mixer.noise(rng, speech.place, noise_clip)     # a noise field at the same place
    mixer.cues(speech, noise, snr_db=0, out=samples)       # (azimuth, bin, frame, 2)

Both the Spatialise scripts and training straight from wavs make their samples here. A mixture depends on its random
generator and its clips alone; whatever is switched off draws nothing.
"""
from typing import NamedTuple

import numpy as np
from scipy.fft import irfft

import hrir
import rooms
import scene

COLOUR_DEG = (-90, -45, 0, 45, 90)  # where another head's spectral differences are drawn
SIDES_BEGIN_DEG = (15, 90)          # from where on, drawn, the sides have their level
MAIN_IN_MIXED = "diffuse"  # noise field "mixed" is this one and another


class Place(NamedTuple):
    """A head in its surroundings, through its microphones, as spectra for excerpts of reach + sample_length.

    `heard_from` (direction, 2, bin); `tail` (2, bin of the longer excerpts with `tail_reach`) is a simulated room's
    late part, the same for all directions but for its `tail_level` (direction,); `microphones` (2, bin) is all that
    diotic noise passes; `colour` (tap,) filters the speech. What there is no such thing of is None.
    """

    hrir: str
    rt60_s: float
    reach: int
    heard_from: np.ndarray
    tail_reach: int = 0
    tail: np.ndarray = None
    tail_level: np.ndarray = None
    microphones: np.ndarray = None
    colour: np.ndarray = None


class Speech(NamedTuple):
    """Speech from every azimuth with the microphones' own noise, `parts` of (azimuth, 2, n); `front` (2, n) clean."""

    place: Place
    start: int
    signals: np.ndarray
    front: np.ndarray
    parts: tuple


class Noise(NamedTuple):
    """A noise field at the ears: (2, n), its `parts`, its name, and whether some of it comes from one direction."""

    field: str
    is_directed: bool
    signals: np.ndarray
    parts: tuple


def directions_deg(params):
    """Return the directions that the heads must give: those of the source, of noise, and the front; ascending."""
    return np.unique(np.array([*params.azimuth_deg, *params.circle_deg, 0], np.float64))


class Mixer:
    """Draws and computes; safe to use from several threads. `heads` were loaded at `directions_deg(params)`."""

    def __init__(self, params, heads):
        self.params, self.heads = params, heads
        self.directions_deg = directions_deg(params)
        self._targets = np.searchsorted(self.directions_deg, params.azimuth_deg)
        self._circle = np.searchsorted(self.directions_deg, params.circle_deg)
        self._front = hrir.front(self.directions_deg)
        self._as_measured = [self._place(head.name, head.rt60_s, head.response) for head in heads]

    # ------------------------------------------------------------------------------------------------ places

    def place(self, rng):
        """Draw a head, and what Params asks for of its size, spectra, room, microphones and source."""
        p = self.params
        which = int(rng.integers(len(self.heads))) if len(self.heads) > 1 else 0
        has_other_heads = p.head_size or p.head_colour_db or p.side_level_db
        if not (has_other_heads or p.rt60_s or p.mic_level_db or p.mic_colour_db or p.source_colour_db):
            return self._as_measured[which]
        head = self.heads[which]
        response, rt60_s = head.response, head.rt60_s
        level = tail = microphones = colour = None
        if np.isnan(head.rt60_s):  # a measured room neither grows with the head nor stands in another room
            if has_other_heads and rng.random() < p.head_share:
                if p.head_size:
                    size = rng.uniform(*p.head_size)
                    response = hrir.resized(head, size, p.sample_rate_hz, p.hrir_padding_samples)
                if p.head_colour_db:
                    response = recoloured(rng, response, self.directions_deg, p.head_colour_db)
                if p.side_level_db:
                    level = side_level(rng, self.directions_deg, p.side_level_db)
            if p.rt60_s and rng.random() < p.room_share:
                room = rooms.draw(rng, p.rt60_s, p.drr_db)
                response, tail = rooms.responses(room, response, self.directions_deg, p.sample_rate_hz, rng)
                rt60_s = room.rt60_s
            if level is not None:
                response = response * level[:, np.newaxis, np.newaxis]
        if p.mic_level_db or p.mic_colour_db:
            microphones = scene.minimum_phase(scene.random_curve(rng, p.mic_colour_db, (2,)))
            level_db = rng.uniform(-p.mic_level_db, p.mic_level_db) * np.array([[-0.5], [0.5]])
            microphones *= (10 ** (level_db / 20)).astype(np.float32)
        if p.source_colour_db:
            colour = scene.minimum_phase(scene.random_curve(rng, p.source_colour_db))
        return self._place(head.name, rt60_s, response, tail, level, microphones, colour)

    def _place(self, name, rt60_s, response, tail=None, tail_level=None, microphones=None, colour=None):
        """Transform what is given in taps, microphones (2, tap), for excerpts that hold all of it in full swing."""
        length = self.params.sample_length
        through = scene.FILTER_TAPS * ((microphones is not None) + bool(self.params.noise_colour_db))
        size = scene.fft_size(length + max(self.params.lead_in_samples, response.shape[-1] + through))
        place = Place(name, rt60_s, size - length, scene.response_spectrum(response, size), colour=colour)
        if tail is not None:
            tail_size = scene.fft_size(length + tail.shape[-1] + through)
            place = place._replace(tail_reach=tail_size - length, tail=scene.response_spectrum(tail, tail_size),
                                   tail_level=tail_level)
        if microphones is not None:
            spectrum = scene.response_spectrum(microphones, size)
            place = place._replace(heard_from=place.heard_from * spectrum, microphones=spectrum)
            if tail is not None:
                place = place._replace(tail=place.tail * scene.response_spectrum(microphones, tail_size))
        return place

    def heard(self, place, signal, start, rows, colour=None, around=False):
        """One source at a place from the directions of `rows`: (row, 2, n)."""
        length = self.params.sample_length
        reach = max(place.reach, place.tail_reach)
        if colour is None:
            excerpt = scene.cut(signal, start, reach, length, around)
        else:
            size = scene.fft_size(reach + len(colour) - 1 + length)
            excerpt = scene.at_ears(scene.cut(signal, start, size - length, length, around),
                                    scene.response_spectrum(colour, size), reach + length)
        at_ears = scene.at_ears(excerpt[-(place.reach + length):], _directions(place, rows), length)
        if place.tail is not None:
            late = scene.at_ears(excerpt[-(place.tail_reach + length):], place.tail, length)
            at_ears += late if place.tail_level is None else place.tail_level[rows, np.newaxis, np.newaxis] * late
        return at_ears

    # ------------------------------------------------------------------------------------------------ speech

    def speech(self, rng, clip, part=0, parts=1, azimuths=None):
        """Draw an excerpt of the `part`-th of `parts` stretches of a clip, and a place to hear it.

        It is heard from all azimuths of Params, or from those that `azimuths` (int, ascending) picks of them.
        """
        p = self.params
        start = scene.draw_start(rng, clip.starts, part, parts)
        place = self.place(rng)
        signal, begins = clip.samples, start + p.lead_in_samples
        if p.source_speed:
            signal, begins = self._at_other_speed(rng, clip, start, place)
        targets = self._targets if azimuths is None else self._targets[azimuths]
        rows = targets if self._front in targets else np.append(targets, self._front)
        heard = self.heard(place, signal, begins, rows, place.colour)
        signals, front = heard[:len(targets)], heard[np.flatnonzero(rows == self._front)[0]]
        if p.sensor_snr_db:
            level_db = rng.uniform(*p.source_level_db) if p.source_level_db else 0.0
            sensors = rng.standard_normal(front.shape, np.float32)
            signals = signals + scene.noise_gain(front, sensors, rng.uniform(*p.sensor_snr_db) + level_db) * sensors
        return Speech(place, start, signals, front, scene.parts(signals, p))

    def _at_other_speed(self, rng, clip, start, place):
        """An excerpt's signal at a drawn speed, and where its sample begins in it; within what the clip offers."""
        p = self.params
        speed = rng.uniform(*p.source_speed)
        ends = clip.starts[-1] + p.excerpt_length
        start = max(int(clip.starts[0]), min(start, int(ends - np.ceil(speed * p.excerpt_length))))
        reach = max(place.reach, place.tail_reach) + scene.FILTER_TAPS
        signal, begins = scene.at_speed(clip.samples, start, speed, reach, p.excerpt_length)
        return signal, begins + p.lead_in_samples

    # ------------------------------------------------------------------------------------------------ noise

    def noise(self, rng, place, clip, talker=None):
        """Draw a noise field of Params at a place.

        Parameters
        ----------
        rng : np.random.Generator
        place : Place
        clip : scene.Clip of a noise file
        talker : callable, rng -> scene.Clip of another talker's speech; for the noise fields talker and mixed

        Returns
        -------
        Noise

        """
        fields = self.params.noise_field
        field = fields[rng.integers(len(fields))]
        if field == "mixed":
            one = self._field(rng, MAIN_IN_MIXED, place, clip, talker)
            second = ("directional", "talker", "diotic")[rng.integers(3)]
            other = self._field(rng, second, place, clip, talker)
            limit_db = self.params.mixed_level_db
            signals = one + scene.noise_gain(one, other, rng.uniform(-limit_db, limit_db)) * other
        else:
            second, signals = field, self._field(rng, field, place, clip, talker)
        return Noise(field, second in ("directional", "talker"), signals, scene.parts(signals, self.params))

    def _field(self, rng, field, place, clip, talker):
        p, colour = self.params, None
        if p.noise_colour_db:
            colour = scene.minimum_phase(scene.random_curve(rng, p.noise_colour_db))
        if field in ("directional", "talker"):
            source = talker(rng) if field == "talker" else clip
            row = self._circle[rng.integers(len(self._circle))]
            start = scene.draw_start(rng, source.starts) + p.lead_in_samples
            return self.heard(place, source.samples, start, [row], colour, around=field == "directional")[0]
        passed = None if colour is None else scene.response_spectrum(colour, place.reach + p.sample_length)
        if field == "diffuse":
            starts = [scene.draw_start(rng, clip.starts) for _ in self._circle]
            excerpts = np.stack([self._noise_excerpt(place, clip, start) for start in starts])
            return scene.diffuse(excerpts, _directions(place, self._circle), p.circle_deg, p.sample_length, passed)
        excerpt = self._noise_excerpt(place, clip, scene.draw_start(rng, clip.starts))
        if passed is None and place.microphones is None:
            return np.stack([excerpt[-p.sample_length:]] * 2)
        ears = np.ones((2, 1), np.float32) if place.microphones is None else place.microphones
        return scene.at_ears(excerpt, ears if passed is None else ears * passed, p.sample_length)

    def _noise_excerpt(self, place, clip, start):
        return scene.cut(clip.samples, start + self.params.lead_in_samples, place.reach, self.params.sample_length,
                         around=True)

    # ------------------------------------------------------------------------------------------------ together

    def snrs_db(self, rng, noise):
        """Return the SNRs of one mixture: all of Params.snr_db, or one drawn from its range.

        Of two sources from single directions nothing but their level says which is meant, so beside another one the
        range begins at least_snr_of_two_db (or is only its upper end). SNRs given as steps are taken as they are.
        """
        if not self.params.snr_range_db:
            return list(self.params.snr_db)
        least, greatest = self.params.snr_range_db
        if noise.is_directed:
            least = min(max(least, self.params.least_snr_of_two_db), greatest)
        return [float(rng.uniform(least, greatest))]

    def cues(self, speech, noise, snr_db, out):
        """Write the cues of speech in noise into `out`, float16 (azimuth, bin, frame, 2).

        The SNR is that of the speech from the front, reverberation included, over the noise; both are averaged over the
        two ears and the sample. The microphones' own noise is not counted.
        """
        gain = scene.noise_gain(speech.front, noise.signals, snr_db)
        scene.mixed_cues(speech.parts, noise.parts, gain, self.params, out)

    def ears(self, speech, noise, snr_db):
        """Ear signals of speech in noise, to listen to: (azimuth, 2, n) float32."""
        return speech.signals + np.float32(scene.noise_gain(speech.front, noise.signals, snr_db)) * noise.signals


def _directions(place, rows):
    """Spectra (row, 2, bin) of some directions of a place; not a copy of megabytes where it is all of them in order."""
    everything = np.array_equal(rows, np.arange(len(place.heard_from)))
    return place.heard_from if everything else place.heard_from[rows]


def side_level(rng, azimuth_deg, range_db):
    """Draw the levels of a set whose sides are louder or weaker than its front, as Surrey's room A is by -5 dB.

    All that is heard from a direction has its level, the room with it. So has diffuse noise, which then comes more from
    the front, while at the sides the source is weaker in it.

    Parameters
    ----------
    rng : np.random.Generator
    azimuth_deg : np.ndarray [shape=(azimuth,)], -90..90
    range_db : (low, high), of the level at the sides, which goes to 0 dB evenly from SIDES_BEGIN_DEG to the front

    Returns
    -------
    np.ndarray [shape=(azimuth,)], float32, factors

    """
    level_db = rng.uniform(*range_db) * np.minimum(1, np.abs(azimuth_deg) / rng.uniform(*SIDES_BEGIN_DEG))
    return (10 ** (level_db / 20)).astype(np.float32)


def recoloured(rng, response, azimuth_deg, spread_db):
    """Responses of another head: smooth random spectral differences that change slowly with the direction.

    Half of their variance is common to both ears, as the mean of two heads' pinnae differs, and half each ear's own.
    Drawn for the directions of COLOUR_DEG and interpolated in between.

    Parameters
    ----------
    rng : np.random.Generator
    response : np.ndarray [shape=(azimuth, 2, tap)]
    azimuth_deg : np.ndarray [shape=(azimuth,)], -90..90
    spread_db : float, standard deviation at one ear

    Returns
    -------
    np.ndarray [shape=(azimuth, 2, tap + FILTER_TAPS - 1)], float32

    """
    count = len(COLOUR_DEG)
    corners = scene.random_curve(rng, spread_db / np.sqrt(2), (count, 1)) + \
        scene.random_curve(rng, spread_db / np.sqrt(2), (count, 2))                           # (corner, ear, bin)
    weight = np.stack([np.interp(azimuth_deg, COLOUR_DEG, one) for one in np.eye(count)])     # (corner, azimuth)
    taps = response.shape[-1] + scene.FILTER_TAPS - 1
    filters = scene.minimum_phase(np.einsum("ca,ceb->aeb", weight, corners))
    size = scene.fft_size(taps)
    product = scene.response_spectrum(response, size) * scene.response_spectrum(filters, size)
    return irfft(product, size)[..., :taps].astype(np.float32)
