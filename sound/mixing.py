"""Mixtures: draws listening conditions as Params asks for them, and puts speech and noise at the ears. Arrays only.

    mixer = mixing.Mixer(params, heads)
    speech = mixer.speech_at_ears(rng, clip)                      # a scene, and an excerpt in it from every azimuth
    noise = mixer.noise_at_ears(rng, speech.scene, noise_clip)    # a noise field in the same scene
    gain = noise_fields.noise_gain(speech.front, noise.signals, snr_db=0)
    mixer.cues(speech, noise, gain, out=samples)                  # (azimuth, bin, frame, 2)

The Spatialise scripts (shards/recipe.py) and training on the fly make their samples here. A mixture depends on its
random generator and its clips alone; what is switched off draws nothing.
"""
from functools import lru_cache
from typing import NamedTuple

import numpy as np

import features
import hrir
from sound import coloration, convolution, excerpts, kernels, noise_fields, other_sounds, rooms
from sound.heads import recoloured, side_level
from sound.talkers import Talkers

MAIN_IN_MIXED = "diffuse"  # noise field "mixed" is this one and another
BAND_ENDS_HZ = (3400.0, 7500.0)  # of telephones, and of codecs at low bit rates
SCENES_KEPT = 8            # of heads as measured: their spectra take 5 MB each


class Scene(NamedTuple):
    """Hold a listening condition: a head in its surroundings, with its microphones.

    `hrtf` complex (direction, ear, bin) is the spectrum of its responses, for excerpts of `reach` samples before the
    sample and the sample itself. A simulated room's late part is `tail` (ear, bin), for excerpts with `tail_reach`; it
    is the same for all directions but for their `tail_level` (direction,). Diotic noise passes the `microphones`
    (ear, bin) alone. `source_eq` (tap,) filters the speech. `free_field` (direction, ear, tap) is the head without room
    and microphones. `grid` says which directions these are. None stands for what the scene does not have.
    """

    hrir: str
    rt60_s: float
    reach: int
    hrtf: np.ndarray
    tail_reach: int = 0
    tail: np.ndarray = None
    tail_level: np.ndarray = None
    microphones: np.ndarray = None
    source_eq: np.ndarray = None
    free_field: np.ndarray = None
    grid: "Grid" = None


class Grid(NamedTuple):
    """Hold the directions of one head, in ascending degrees, and which of its rows are asked for.

    `azimuths` (n,) are the positions in Params.azimuth_deg of those that the head offers, `targets` (n,) their rows;
    `circle` the rows of Params.circle_deg where noise comes from; `front` the row of 0 degrees.
    """

    directions_deg: np.ndarray
    azimuths: np.ndarray
    targets: np.ndarray
    circle: np.ndarray
    front: int

    @classmethod
    def of(cls, directions_deg, params):
        """Find what Params asks for among the directions of a head."""
        azimuths = np.flatnonzero(np.isin(params.azimuth_deg, directions_deg))
        circle = np.array([each for each in params.circle_deg if each in directions_deg], np.float64)
        return cls(directions_deg, azimuths, np.searchsorted(directions_deg, np.asarray(params.azimuth_deg)[azimuths]),
                   np.searchsorted(directions_deg, circle), hrir.front(directions_deg))


class Speech(NamedTuple):
    """Hold speech at the ears from every azimuth, sensor noise included.

    `azimuth_deg` (azimuth,) says which these are. `signals` (azimuth, ear, n) and their `stft_parts`; `front` (ear, n)
    is the clean speech from azimuth 0, which the SNR refers to; `start` is where the excerpt begins in its clip, in
    samples. `sensors` (ear, n) is the sensor noise in them; None stands for none. Of several talkers together
    (talkers.mix) `azimuth_deg` is that of the loudest and `talkers` says more.
    """

    scene: Scene
    start: int
    azimuth_deg: np.ndarray
    signals: np.ndarray
    front: np.ndarray
    stft_parts: tuple
    sensors: np.ndarray = None
    talkers: Talkers = None


class Noise(NamedTuple):
    """Hold a noise field at the ears: `signals` (ear, n), their `stft_parts`, and whether it has a point source."""

    field: str
    has_point_source: bool
    signals: np.ndarray
    stft_parts: tuple


def directions_deg(params):
    """Collect the directions that the heads must give: of the source, of noise, and the front; ascending degrees.

    >>> from params import Params
    >>> directions_deg(Params(azimuth_deg=(45, -20), circle_deg=(-90, 90))).tolist()
    [-90.0, -20.0, 0.0, 45.0, 90.0]
    """
    return np.unique(np.array([*params.azimuth_deg, *params.circle_deg, 0], np.float64))


def directions_of(sets, params):
    """List the directions to ask each set for, of hrir.read: of `directions_deg` those that it has.

    The front and what none of them has stay, so that hrir.at_azimuths says what is missing.

    >>> from params import Params
    >>> whole = hrir.read("mit_kemar")
    >>> half = whole._replace(response=whole.response[18:], azimuth_deg=whole.azimuth_deg[18:])
    >>> params = Params(azimuth_deg=(-45, 45), circle_deg=(0,))
    >>> [each.tolist() for each in directions_of([whole, half], params)]
    [[-45.0, 0.0, 45.0], [0.0, 45.0]]
    """
    wanted = directions_deg(params)
    offered = [np.array([hrir.can_give(measured, azimuth_deg) for azimuth_deg in wanted]) for measured in sets]
    stays = ~np.any(offered, axis=0) | (wanted == 0)
    return [wanted[has | stays] for has in offered]


class Mixer:
    """Draw scenes and put sounds at the ears; safe to use from several threads.

    `heads` are hrir.Hrirs, loaded at those of `directions_deg(params)` that they have. A mixture is from those azimuths
    that its head offers.

    >>> from params import Params
    >>> params = Params(azimuth_deg=(-60, 60))
    >>> mixer = Mixer(params, [hrir.load("mit_kemar", params.sample_rate_hz, directions_deg(params))])
    >>> rng = np.random.default_rng(0)
    >>> signal = rng.standard_normal(32_000).astype(np.float32)
    >>> speech = mixer.speech_at_ears(rng, excerpts.speech_clip(signal, params))
    >>> noise = mixer.noise_at_ears(rng, speech.scene, excerpts.noise_clip(signal, params))
    >>> mixer.ears(speech, noise, gain=0.1).shape      # azimuth, ear, n
    (2, 2, 16320)
    >>> np.square(speech.signals).mean(axis=-1).argmax(axis=-1).tolist()      # the louder ear: left, right
    [0, 1]
    """

    def __init__(self, params, heads):
        self.params, self.heads = params, heads
        self.grids = [Grid.of(head.azimuth_deg, params) for head in heads]
        self._drawn_below = np.cumsum([head.share for head in heads]) / sum(head.share for head in heads)
        self._as_measured = lru_cache(SCENES_KEPT)(
            lambda which: self._scene(heads[which].name, heads[which].rt60_s, heads[which].response)._replace(
                free_field=heads[which].response if np.isnan(heads[which].rt60_s) else None, grid=self.grids[which]))

    # ------------------------------------------------------------------------------------------------ scenes

    def draw_head(self, rng):
        """Draw the number of one of the heads, by their shares."""
        return int(np.searchsorted(self._drawn_below, rng.random(), side="right")) if len(self.heads) > 1 else 0

    def draw_scene(self, rng, which=None):
        """Draw a Scene: a head, and what Params asks for of its size, spectra, room, microphones and source.

        `which` is the number of the head, drawn unless given.
        """
        p, which = self.params, self.draw_head(rng) if which is None else which
        has_other_heads = p.head_size or p.head_colour_db or p.side_level_db
        has_microphones = p.mic_level_db or p.mic_colour_db or p.band_limit_share
        if not (has_other_heads or p.rt60_s or has_microphones or p.source_colour_db):
            return self._as_measured(which)
        head, directions = self.heads[which], self.grids[which].directions_deg
        response, rt60_s = head.response, head.rt60_s
        level = tail = microphones = source_eq = free_field = None
        if np.isnan(head.rt60_s):  # a measured room neither grows with the head nor stands in another room
            if has_other_heads and rng.random() < p.head_share:
                if p.head_size:
                    size = rng.uniform(*p.head_size)
                    response = hrir.resized(head, size, p.sample_rate_hz, p.hrir_padding_samples)
                if p.head_colour_db:
                    response = recoloured(rng, response, directions, p.head_colour_db)
                if p.side_level_db:
                    level = side_level(rng, directions, p.side_level_db)
            free_field = response
            if p.rt60_s and rng.random() < p.room_share:
                room = rooms.draw(rng, p.rt60_s, p.drr_db)
                response, tail = rooms.responses(room, response, directions, p.sample_rate_hz, rng)
                rt60_s = room.rt60_s
            if level is not None:
                response = response * level[:, np.newaxis, np.newaxis]
        if has_microphones:
            curves_db = coloration.random_curve(rng, p.mic_colour_db, (2,))
            if p.band_limit_share and rng.random() < p.band_limit_share:
                curves_db += coloration.low_pass_curve(rng.uniform(*BAND_ENDS_HZ), p.sample_rate_hz)
            microphones = coloration.minimum_phase(curves_db)
            # The product of two even draws: many pairs are alike, few differ by all that they may.
            level_db = rng.uniform(-p.mic_level_db, p.mic_level_db) * rng.random() * np.array([[-0.5], [0.5]])
            microphones *= (10 ** (level_db / 20)).astype(np.float32)
        if p.source_colour_db:
            source_eq = coloration.minimum_phase(coloration.random_curve(rng, p.source_colour_db))
        return self._scene(head.name, rt60_s, response, tail, level, microphones, source_eq)._replace(
            free_field=free_field, grid=self.grids[which])

    def own_templates(self, scene):
        """Compute the cues of a scene's own head at Params.class_deg: (class, bin, 2); None where it has none.

        A measured room has none, nor has a head whose directions leave out one of the classes.
        """
        directions = scene.grid.directions_deg
        if scene.free_field is None or not np.isin(self.params.class_deg, directions).all():
            return None
        rows = np.searchsorted(directions, self.params.class_deg)
        return features.of_responses(scene.free_field[rows], self.params)

    def _scene(self, name, rt60_s, response, tail=None, tail_level=None, microphones=None, source_eq=None):
        """Transform responses (direction, ear, tap) and microphones (ear, tap) for excerpts as long as they need."""
        length = self.params.sample_length
        through = coloration.FILTER_TAPS * ((microphones is not None) + bool(self.params.noise_colour_db))
        size = convolution.fft_size(length + max(self.params.lead_in_samples, response.shape[-1] + through))
        scene = Scene(name, rt60_s, size - length, convolution.response_spectrum(response, size), source_eq=source_eq)
        if tail is not None:
            tail_size = convolution.fft_size(length + tail.shape[-1] + through)
            scene = scene._replace(tail_reach=tail_size - length, tail=convolution.response_spectrum(tail, tail_size),
                                   tail_level=tail_level)
        if microphones is not None:
            spectrum = convolution.response_spectrum(microphones, size)
            scene = scene._replace(hrtf=scene.hrtf * spectrum, microphones=spectrum)
            if tail is not None:
                scene = scene._replace(tail=scene.tail * convolution.response_spectrum(microphones, tail_size))
        return scene

    def at_ears(self, scene, signal, start, rows, eq=None, around=False):
        """Put one source at the ears from the directions of `rows`: (row, ear, n)."""
        length = self.params.sample_length
        reach = max(scene.reach, scene.tail_reach)
        if eq is None:
            excerpt = excerpts.cut(signal, start, reach, length, around)
        else:
            size = convolution.fft_size(reach + len(eq) - 1 + length)
            excerpt = convolution.at_ears(excerpts.cut(signal, start, size - length, length, around),
                                          convolution.response_spectrum(eq, size), reach + length)
        at_ears = convolution.at_ears(excerpt[-(scene.reach + length):], _directions(scene, rows), length)
        if scene.tail is not None:
            late = convolution.at_ears(excerpt[-(scene.tail_reach + length):], scene.tail, length)
            at_ears += late if scene.tail_level is None else scene.tail_level[rows, np.newaxis, np.newaxis] * late
        return at_ears

    # ------------------------------------------------------------------------------------------------ speech

    def speech_at_ears(self, rng, clip, part=0, parts=1, count=None):
        """Draw an excerpt and a scene, and put the excerpt at the ears from every azimuth that its head offers.

        Parameters
        ----------
        rng : np.random.Generator
        clip : excerpts.Clip of a speech file
        part, parts : int, the excerpt begins in the `part`-th of `parts` equal stretches of the clip
        count : int, optional: from how many of them, drawn anew; of fewer than that some come twice

        Returns
        -------
        Speech

        """
        p = self.params
        which = self.draw_head(rng)
        azimuths, targets = _draw_azimuths(rng, self.grids[which], count)
        start = excerpts.draw_start(rng, clip.starts, part, parts)
        scene = self.draw_scene(rng, which)
        signal, begins = clip.samples, start + p.lead_in_samples
        if p.other_sounds_share and rng.random() < p.other_sounds_share:
            begins = max(scene.reach, scene.tail_reach) + coloration.FILTER_TAPS
            signal = other_sounds.draw(rng, begins + p.sample_length, p.sample_rate_hz)
        elif p.source_speed:
            signal, begins = self._at_other_speed(rng, clip, start, scene)
        signals, front = self._from_targets(scene, signal, begins, targets, scene.source_eq)
        sensors = None
        if p.sensor_snr_db:
            level_db = rng.uniform(*p.source_level_db) if p.source_level_db else 0.0
            sensors = rng.standard_normal(front.shape, np.float32)
            sensor_snr_db = rng.uniform(*p.sensor_snr_db) + level_db
            sensors = noise_fields.noise_gain(front, sensors, sensor_snr_db) * sensors
            signals = signals + sensors
        azimuth_deg = np.asarray(p.azimuth_deg, np.float32)[azimuths]
        return Speech(scene, start, azimuth_deg, signals, front, kernels.stft_parts(signals, p), sensors)

    def speech_in(self, rng, scene, clip, count=None):
        """Draw an excerpt of another talker and put it at the ears in a scene that has one already.

        Its speed and its spectral coloration are drawn anew; the head, the room and the microphones are the scene's.
        Sensor noise is in the first talker's signals alone.

        Parameters
        ----------
        rng : np.random.Generator
        scene : Scene, of the first talker's `speech_at_ears`
        clip : excerpts.Clip of a speech file
        count : int, optional: from how many azimuths, drawn anew; from all that the head offers unless given

        Returns
        -------
        Speech

        """
        p, eq = self.params, None
        azimuths, targets = _draw_azimuths(rng, scene.grid, count)
        start = excerpts.draw_start(rng, clip.starts)
        signal, begins = clip.samples, start + p.lead_in_samples
        if p.source_speed:
            signal, begins = self._at_other_speed(rng, clip, start, scene)
        if p.source_colour_db:
            eq = coloration.minimum_phase(coloration.random_curve(rng, p.source_colour_db))
        signals, front = self._from_targets(scene, signal, begins, targets, eq)
        azimuth_deg = np.asarray(p.azimuth_deg, np.float32)[azimuths]
        return Speech(scene, start, azimuth_deg, signals, front, kernels.stft_parts(signals, p))

    def _from_targets(self, scene, signal, begins, targets, eq):
        """Put speech at the ears from the rows `targets` (n,) and from the front: (n, ear, samples), (ear, samples)."""
        front_row = scene.grid.front
        rows = targets if front_row in targets else np.append(targets, front_row)
        at_ears = self.at_ears(scene, signal, begins, rows, eq)
        return at_ears[:len(targets)], at_ears[np.flatnonzero(rows == front_row)[0]]

    def _at_other_speed(self, rng, clip, start, scene):
        """Play an excerpt at a drawn speed, within what the clip offers: its signal, and where its sample begins."""
        p = self.params
        speed = rng.uniform(*p.source_speed)
        ends = clip.starts[-1] + p.excerpt_length
        start = max(int(clip.starts[0]), min(start, int(ends - np.ceil(speed * p.excerpt_length))))
        reach = max(scene.reach, scene.tail_reach) + coloration.FILTER_TAPS
        signal, begins = excerpts.at_speed(clip.samples, start, speed, reach, p.excerpt_length)
        return signal, begins + p.lead_in_samples

    # ------------------------------------------------------------------------------------------------ noise

    def noise_at_ears(self, rng, scene, clip, talker=None):
        """Draw a noise field of Params and put it at the ears in a scene.

        Parameters
        ----------
        rng : np.random.Generator
        scene : Scene
        clip : excerpts.Clip of a noise file
        talker : callable, rng -> excerpts.Clip of a competing talker; for the noise fields talker and mixed

        Returns
        -------
        Noise

        """
        fields = self.params.noise_field
        field = fields[rng.integers(len(fields))]
        if field == "mixed":
            one = self._field(rng, MAIN_IN_MIXED, scene, clip, talker)
            # A competing talker is not counted among the talkers, so that beside --talkers there is none.
            seconds = ("directional", "diotic") if self.params.has_talkers else ("directional", "talker", "diotic")
            second = seconds[rng.integers(len(seconds))]
            other = self._field(rng, second, scene, clip, talker)
            limit_db = self.params.mixed_level_db
            signals = one + noise_fields.noise_gain(one, other, rng.uniform(-limit_db, limit_db)) * other
        else:
            second, signals = field, self._field(rng, field, scene, clip, talker)
        return Noise(field, second in ("directional", "talker"), signals, kernels.stft_parts(signals, self.params))

    def _field(self, rng, field, scene, clip, talker):
        p, eq, circle = self.params, None, scene.grid.circle
        if p.noise_colour_db:
            eq = coloration.minimum_phase(coloration.random_curve(rng, p.noise_colour_db))
        if field in ("directional", "talker"):
            source = talker(rng) if field == "talker" else clip
            row = circle[rng.integers(len(circle))]
            start = excerpts.draw_start(rng, source.starts) + p.lead_in_samples
            return self.at_ears(scene, source.samples, start, [row], eq, around=field == "directional")[0]
        eq_spectrum = None if eq is None else convolution.response_spectrum(eq, scene.reach + p.sample_length)
        if field == "diffuse":
            starts = [excerpts.draw_start(rng, clip.starts) for _ in circle]
            independent = np.stack([self._noise_excerpt(scene, clip, start) for start in starts])
            if p.noise_swell_db:
                independent = independent * noise_fields.swells(rng, *independent.shape, p.noise_swell_db,
                                                                p.sample_rate_hz)
            return noise_fields.diffuse(independent, _directions(scene, circle), scene.grid.directions_deg[circle],
                                        p.sample_length, eq_spectrum)
        excerpt = self._noise_excerpt(scene, clip, excerpts.draw_start(rng, clip.starts))
        if eq_spectrum is None and scene.microphones is None:
            return np.stack([excerpt[-p.sample_length:]] * 2)
        ears = np.ones((2, 1), np.float32) if scene.microphones is None else scene.microphones
        return convolution.at_ears(excerpt, ears if eq_spectrum is None else ears * eq_spectrum, p.sample_length)

    def _noise_excerpt(self, scene, clip, start):
        return excerpts.cut(clip.samples, start + self.params.lead_in_samples, scene.reach, self.params.sample_length,
                            around=True)

    # ------------------------------------------------------------------------------------------------ together

    def snrs_db(self, rng, noise):
        """List the SNRs of one mixture in dB: all of Params.snr_db, or one drawn from its range.

        Of two point sources only the level tells which is meant. So beside one, the range begins at
        least_snr_of_two_db, or is its upper end alone. SNRs given as steps are taken as they are.
        """
        if not self.params.snr_range_db:
            return list(self.params.snr_db)
        least, greatest = self.params.snr_range_db
        if noise.has_point_source:
            least = min(max(least, self.params.least_snr_of_two_db), greatest)
        return [float(rng.uniform(least, greatest))]

    def cues(self, speech, noise, gain, out):
        """Write the cues of speech + gain * noise into `out`, float16 (azimuth, bin, frame, 2)."""
        kernels.mixed_cues(speech.stft_parts, noise.stft_parts, gain, self.params, out)

    def ears(self, speech, noise, gain):
        """Mix the ear signals of speech + gain * noise, to listen to: (azimuth, ear, n) float32."""
        return speech.signals + np.float32(gain) * noise.signals


def _draw_azimuths(rng, grid, count):
    """Draw `count` azimuths of a Grid, or take all where it is None: their `azimuths` and `targets`."""
    azimuths, targets = grid.azimuths, grid.targets
    if count is None:
        return azimuths, targets
    drawn = np.sort(rng.choice(len(azimuths), count, replace=len(azimuths) < count))
    return azimuths[drawn], targets[drawn]


def _directions(scene, rows):
    """Pick the spectra (row, ear, bin) of some directions; all of them in order, megabytes, are not copied."""
    everything = np.array_equal(rows, np.arange(len(scene.hrtf)))
    return scene.hrtf if everything else scene.hrtf[rows]
