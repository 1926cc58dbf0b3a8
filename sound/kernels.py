"""Interaural cues, fast: the formulas of features.py for the making of samples, which spends most of its time here.

Real and imaginary parts lie apart in memory, the arc tangent is a polynomial, float16 is written bit by bit. A test
holds each kernel equal to its plain form on random, silent and extreme input.
"""
import numpy as np

import features
from features import ILD, IPD, LEFT, RIGHT

ARC_TANGENT = np.float32([0.9998660, -0.3302995, 0.1801410, -0.0851330, 0.0208351])  # of x, x^3, x^5, x^7, x^9
LEAST_DIVISOR = np.float32(1e-37)
DB_PER_LOG_POWER = np.float32(10 / np.log(10))  # 10 log10(x) = this times ln(x)


def stft_parts(signals, params):
    """Compute the STFT of signals (..., n) as real and imaginary part, each (..., bin, frame) and contiguous.

    >>> from params import Params
    >>> real, imag = stft_parts(np.ones((37, 2, 16320), np.float32), Params())
    >>> real.shape, imag.dtype
    ((37, 2, 321, 50), dtype('float32'))
    """
    spectra = features.stft(signals, params)
    return np.ascontiguousarray(spectra.real), np.ascontiguousarray(spectra.imag)


def mixed_cues(speech, noise, gain, params, out):
    """Write the cues of one speech at every azimuth in one noise.

    The STFT is linear: speech and noise are transformed once, and every level of the noise is a scaled sum.

    Parameters
    ----------
    speech : `stft_parts` of (azimuth, 2, n)
    noise : `stft_parts` of (2, n)
    gain : float, of the noise
    params : Params
    out : np.ndarray [shape=(azimuth, bin, frame, 2)], float16 or float32, to be written

    Examples
    --------
    Speech at the right ear alone, in noise of a tenth of its amplitude at the left one: an ILD of 20 dB.

    >>> from params import Params
    >>> signal, cues = np.ones(16320, np.float32), np.empty((1, 321, 50, 2), np.float32)
    >>> speech, noise = np.stack([0 * signal, signal])[np.newaxis], np.stack([signal, 0 * signal])
    >>> mixed_cues(stft_parts(speech, Params()), stft_parts(noise, Params()), 0.1, Params(), cues)
    >>> cues[0, 0, 0].round(3).tolist()
    [0.0, 20.0]

    """
    noise_real, noise_imag = (np.float32(gain) * part for part in noise)
    for real, imag, cues in zip(*speech, out):  # one azimuth stays in the processor's cache
        cues_of_parts(real + noise_real, imag + noise_imag, params.power_floor, cues)


def weighted_sum(arrays, which, rows, gains, out=None):
    """Sum rows of several arrays, each with its gain: out[i] = sum_k gains[i, k] * arrays[which[i, k]][rows[i, k]].

    The STFT is linear, so that the sum of several talkers' spectra is the spectrum of all of them.

    Parameters
    ----------
    arrays : list of np.ndarray [shape=(any, ...)], float32, alike but for their number of rows
    which, rows : np.ndarray [shape=(n, talker)], int
    gains : np.ndarray [shape=(n, talker)], float; what has the gain 0 is not read
    out : np.ndarray [shape=(n, ...)], float32, optional: to be written

    Returns
    -------
    np.ndarray [shape=(n, ...)], float32

    Examples
    --------
    >>> one, other = np.float32([[1], [2]]), np.float32([[10], [20]])
    >>> weighted_sum([one, other], np.array([[0, 1]]), np.array([[1, 0]]), np.array([[1, 0.5]]))
    array([[7.]], dtype=float32)

    """
    out = np.empty((len(rows), *arrays[0].shape[1:]), np.float32) if out is None else out
    scaled = np.empty_like(out[0])
    for total, *terms in zip(out, which, rows, gains):
        total[...] = 0
        for number, row, gain in zip(*terms):
            if gain == 1:
                total += arrays[number][row]
            elif gain:
                total += np.multiply(arrays[number][row], np.float32(gain), out=scaled)
    return out


def from_ears(ears, params):
    """Compute IPD and ILD of two ear signals, as `features.from_ears`: (..., 2, n) -> (..., bin, frame, 2) float32.

    >>> from params import Params
    >>> ears = np.random.default_rng(0).standard_normal((2, 16320)).astype(np.float32)
    >>> bool(np.allclose(from_ears(ears, Params()), features.from_ears(ears, Params()), atol=1e-3))
    True
    """
    real, imag = stft_parts(np.moveaxis(ears, -2, 0), params)            # (ear, ..., bin, frame)
    cues = np.empty((*real.shape[1:], 2), np.float32)
    cues_of_parts(real, imag, params.power_floor, cues)
    return cues


def cues_of_parts(real, imag, power_floor, out):
    """Write the cues of spectra, given as real and imaginary part, into `out` (..., 2) float16 or float32.

    `real` and `imag` are float32 (2, ...), left ear first. Apart and contiguous they are several times faster than
    complex numbers.

    >>> out = np.empty((1, 2), np.float32)
    >>> cues_of_parts(np.float32([[1], [0]]), np.float32([[0], [2]]), 1e-20, out)      # left 1, right 2j
    >>> out.round(2)
    array([[1.57, 6.02]], dtype=float32)
    """
    cross_real = real[RIGHT] * real[LEFT]  # right * conj(left): its angle is that of right / left
    cross_real += imag[RIGHT] * imag[LEFT]
    cross_imag = imag[RIGHT] * real[LEFT]
    cross_imag -= real[RIGHT] * imag[LEFT]
    store(angle(cross_real, cross_imag), out[..., IPD])
    power = np.square(real)
    power += np.square(imag)
    np.maximum(power, power_floor, out=power)
    ratio = np.divide(power[RIGHT], power[LEFT], out=cross_real)
    np.log(ratio, out=ratio)
    store(np.multiply(ratio, DB_PER_LOG_POWER, out=ratio), out[..., ILD])


def angle(real, imag):
    """Compute np.arctan2(imag, real) to 1.2e-5 radians, 5 times as fast: float32, -pi..pi, zero for 0 + 0j.

    The arc tangent of the smaller over the larger part as a polynomial (Abramowitz and Stegun 1964, 4.4.49), unfolded
    to its octant by arithmetic, because masks would be slower than all the rest.

    Parameters
    ----------
    real, imag : np.ndarray of float32, of one shape

    Returns
    -------
    np.ndarray, float32, of that shape

    Examples
    --------
    >>> (angle(np.float32([1, -1, -1]), np.float32([1, 1, -1])) / np.pi).round(3).tolist()
    [0.25, 0.75, -0.75]

    """
    across, along = np.abs(imag), np.abs(real)
    steep = (across > along).astype(np.float32)
    larger = np.maximum(across, along)
    np.maximum(larger, LEAST_DIVISOR, out=larger)  # against 0 / 0
    slope = np.divide(np.minimum(across, along, out=across), larger, out=across)
    square = np.multiply(slope, slope, out=along)
    turn = square * ARC_TANGENT[-1]
    for coefficient in ARC_TANGENT[-2:0:-1]:
        turn += coefficient
        turn *= square
    turn += ARC_TANGENT[0]
    turn *= slope
    for folded, whole in ((steep, np.pi / 2), (np.signbit(real), np.pi)):  # where folded: whole - turn
        change = np.multiply(turn, np.float32(-2), out=square)
        change += np.float32(whole)
        change *= folded
        turn += change
    return np.copysign(turn, imag, out=turn)


def store(values, out):
    """Write float32 `values` into `out`; where that is float16, 3 times as fast as NumPy's own conversion.

    Rounded to the nearest; up to the smallest normal float16, 6e-5, it becomes zero. For finite values up to 65,504.

    >>> out = np.empty(3, np.float16)
    >>> store(np.float32([np.pi, -0.1, 1e-9]), out)
    >>> out
    array([ 3.14, -0.1 ,  0.  ], dtype=float16)
    """
    if out.dtype != np.float16:
        out[...] = values
        return
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    # IEEE 754: sign, 8 bits of exponent (bias 127), 23 of fraction; half: 5 (15), 10
    half = bits & np.uint32(0x7FFFFFFF)
    half += np.uint32(1 << 12)                                     # half of the last bit that stays
    np.maximum(half, np.uint32(113 << 23), out=half)               # 113 - 127 is the smallest exponent of a half
    half -= np.uint32(112 << 23)                                   # 127 - 15
    half >>= np.uint32(13)
    half *= half != np.uint32(1 << 10)                             # that smallest one, and all that is below
    half |= (bits >> np.uint32(16)) & np.uint32(0x8000)
    out.view(np.uint16)[...] = half
