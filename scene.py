"""The scene at the ears: where excerpts are cut, convolution with HRIRs, noise fields, levels by SNR. Arrays only.

    heard_from = scene.response_spectrum(head.response, len(excerpt), lead_in=320)  # once a run
    speech = scene.at_ears(excerpt, heard_from, lead_in=320)                        # (16640,) -> (37, 2, 16320)
    noise = scene.diffuse(noise_excerpts, heard_from, lead_in=320)                  # (37, 16640) -> (2, 16320)
    gain = scene.noise_gain(speech[18], noise, snr_db=0)
"""
import numpy as np
from scipy.fft import irfft, rfft

import features


def eligible_starts(signal, length, range_db):
    """Where an excerpt may begin: every start whose `length` samples are at most `range_db` below the loudest such.

    Parameters
    ----------
    signal : np.ndarray [shape=(n,)], n >= length
    length : int, in samples
    range_db : float

    Returns
    -------
    np.ndarray of int, ascending, never empty

    """
    power = running_power(signal, length)
    return np.flatnonzero(power >= power.max() * 10 ** (-range_db / 10))


def running_power(signal, length):
    """Mean square of every run of `length` samples: (n,) -> (n - length + 1,) float64."""
    total = np.concatenate(([0.0], np.cumsum(np.square(signal, dtype=np.float64))))
    return np.maximum(total[length:] - total[:-length], 0) / length  # the difference of sums can fall just below 0


def draw_start(rng, starts, part=0, parts=1):
    """Draw one of the ascending `starts` from the `part`-th of `parts` stretches, so that several cover the file."""
    return int(starts[int((part + rng.random()) / parts * len(starts))])


def looped(noise, length):
    """The noise followed by its own beginning, so that an excerpt of `length` can start anywhere in it."""
    return np.resize(noise, len(noise) + length - 1)


def response_spectrum(response, length, lead_in):
    """Transform a head's responses for excerpts of `length` samples: (azimuth, 2, tap) -> (azimuth, 2, bin).

    Raises ValueError when the lead-in is shorter than the responses.
    """
    if response.shape[-1] > lead_in + 1:
        raise ValueError(f"{response.shape[-1]} taps need a lead-in of {response.shape[-1] - 1} samples, not {lead_in}")
    return rfft(response, length)


def at_ears(excerpt, heard_from, lead_in):
    """A source heard from every direction of a head.

    The convolution is circular over the excerpt: what wraps around falls into the lead-in, which is cut off, so the
    rest is exactly the linear convolution in full swing.

    Parameters
    ----------
    excerpt : np.ndarray [shape=(lead_in + n,)]
    heard_from : np.ndarray [shape=(azimuth, 2, bin)], the head's `response_spectrum` for this length
    lead_in : int, in samples

    Returns
    -------
    np.ndarray [shape=(azimuth, 2, n)]

    """
    return irfft(rfft(excerpt) * heard_from, len(excerpt))[..., lead_in:]


def diffuse(excerpts, heard_from, lead_in):
    """Independent noises from the whole circle, summed at the ears.

    `heard_from` covers the front half plane. A direction behind arrives with nearly the delays and levels of its mirror
    image in front (the cone of confusion), so the front one stands for both and is sqrt(2) louder; -90 and +90
    degrees have no mirror image.

    Parameters
    ----------
    excerpts : np.ndarray [shape=(azimuth, lead_in + n)]
    heard_from : np.ndarray [shape=(azimuth, 2, bin)], the head's `response_spectrum`, from -90 to 90 degrees
    lead_in : int, in samples

    Returns
    -------
    np.ndarray [shape=(2, n)]

    """
    loudness = np.full((len(heard_from), 1), np.sqrt(2), excerpts.dtype)
    loudness[[0, -1]] = 1
    spectrum = np.einsum("df,def->ef", rfft(excerpts * loudness), heard_from)  # direction, frequency, ear
    return irfft(spectrum, excerpts.shape[-1])[..., lead_in:]


def diotic(excerpt):
    """The same noise at both ears, without a head: (n,) -> (2, n)."""
    return np.stack([excerpt, excerpt])


def noise_gain(speech, noise, snr_db):
    """Factor for `noise` that sets the SNR: power ratio in dB, both averaged over the two ears and the excerpt.

    Parameters
    ----------
    speech : np.ndarray [shape=(2, n)], with the source at azimuth 0, whatever the azimuth it is used for
    noise : np.ndarray [shape=(2, n)], not all zero
    snr_db : float

    Returns
    -------
    float

    """
    power_ratio = np.mean(np.square(speech, dtype=np.float64)) / np.mean(np.square(noise, dtype=np.float64))
    return float(np.sqrt(power_ratio * 10 ** (-snr_db / 10)))


def mixed_cues(speech, noise, gains, params):
    """Cues of one speech at every azimuth in one noise at several levels.

    The STFT is linear: speech and noise are transformed once, and every level is a scaled sum of their spectra.

    Parameters
    ----------
    speech : np.ndarray [shape=(azimuth, 2, n)]
    noise : np.ndarray [shape=(2, n)]
    gains : sequence of float, of the noise
    params : Params

    Yields
    ------
    np.ndarray [shape=(azimuth, bin, frame, 2)], float16, for each gain in turn; overwritten by the next

    """
    speech_spectra = features.stft(speech, params)   # (azimuth, 2, bin, frame)
    noise_spectra = features.stft(noise, params)     # (2, bin, frame)
    speech_real, speech_imag = np.ascontiguousarray(speech_spectra.real), np.ascontiguousarray(speech_spectra.imag)
    cues = np.empty((len(speech), *params.sample_shape), np.float16)
    for gain in gains:
        noise_real, noise_imag = np.float32(gain) * noise_spectra.real, np.float32(gain) * noise_spectra.imag
        for real, imag, out in zip(speech_real, speech_imag, cues):  # one azimuth stays in the processor's cache
            features.cues_of_parts(real + noise_real, imag + noise_imag, params.power_floor, out)
        yield cues
