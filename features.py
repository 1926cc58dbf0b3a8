"""Interaural cues in the time-frequency domain: STFT, interaural phase and level difference. Arrays in, arrays out.

    cues = features.from_ears(ears, Params())   # (2, 16320) -> (321, 50, 2)

IPD = angle(right / left) in radians, ILD = 20 log10(|right| / |left|) in dB: a source on the right has positive ILD.
"""
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import rfft

LEFT, RIGHT = 0, 1
IPD, ILD = 0, 1
ARC_TANGENT = np.float32([0.9998660, -0.3302995, 0.1801410, -0.0851330, 0.0208351])  # of x, x^3, x^5, x^7, x^9
SMALLEST = np.float32(1e-37)
DB_PER_NEPER_POWER = np.float32(10 / np.log(10))  # 10 log10(x) = this times ln(x)


def stft(signal, params):
    """Short-time Fourier transform without centring, as `librosa.stft(..., window="hamming", center=False)`.

    Parameters
    ----------
    signal : np.ndarray [shape=(..., n)], real; float32 is computed in single precision
    params : Params, for the window and hop in samples

    Returns
    -------
    np.ndarray [shape=(..., bin, frame)], complex, contiguous; 1 + (n - window) // hop frames

    Raises
    ------
    ValueError : the signal is shorter than one window

    """
    window_samples = params.stft_window_samples
    if signal.shape[-1] < window_samples:
        raise ValueError(f"{signal.shape[-1]} samples are fewer than the window's {window_samples}")
    frames = sliding_window_view(signal, window_samples, axis=-1)[..., ::params.stft_hop_samples, :]
    turn = 2 * np.pi * np.arange(window_samples) / window_samples
    window = (0.54 - 0.46 * np.cos(turn)).astype(signal.dtype)           # Hamming, periodic: Harris 1978, eq. 30
    spectra = rfft(frames * window)                                      # (..., frame, bin)
    return np.ascontiguousarray(np.swapaxes(spectra, -1, -2))


def interaural_cues(left, right, power_floor):
    """IPD and ILD of two spectra.

    Parameters
    ----------
    left, right : np.ndarray [shape=(...)], complex spectra of the two ears
    power_floor : float, the least |spectrum|^2 that is told from silence; keeps the cues of empty bins finite

    Returns
    -------
    np.ndarray [shape=(..., 2)], float32
        [..., 0] = IPD in radians, -pi..pi; [..., 1] = ILD in dB

    """
    out = np.empty((*left.shape, 2), np.float32)
    cues_of_parts(np.stack((left.real, right.real)), np.stack((left.imag, right.imag)), power_floor, out)
    return out


def cues_of_parts(real, imag, power_floor, out):
    """Write into `out` (..., 2), of any float type, the cues of spectra whose parts are given apart.

    `real` and `imag` have shape (2, ...), left ear first. Apart and contiguous they are several times faster than
    complex numbers: this is where the making of samples spends most of its time.
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
    store(np.multiply(ratio, DB_PER_NEPER_POWER, out=ratio), out[..., ILD])


def angle(real, imag):
    """Angle of complex numbers given in parts, -pi..pi, as np.arctan2(imag, real) to 1.2e-5 radians, 5 times as fast.

    The arc tangent of the smaller over the larger part as a polynomial (Abramowitz and Stegun 1964, 4.4.49), unfolded
    to its octant by arithmetic, because masks would be slower than all the rest. Zero for 0 + 0j.

    Parameters
    ----------
    real, imag : np.ndarray of float32, of one shape

    Returns
    -------
    np.ndarray, float32, of that shape

    """
    across, along = np.abs(imag), np.abs(real)
    steep = (across > along).astype(np.float32)
    larger = np.maximum(across, along)
    np.maximum(larger, SMALLEST, out=larger)  # against 0 / 0
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


def from_ears(ears, params):
    """IPD and ILD of two ear signals.

    Parameters
    ----------
    ears : np.ndarray [shape=(..., 2, n)], left ear first
    params : Params

    Returns
    -------
    np.ndarray [shape=(..., bin, frame, 2)], float32

    """
    spectra = stft(ears, params)
    return interaural_cues(spectra[..., LEFT, :, :], spectra[..., RIGHT, :, :], params.power_floor)
