"""Interaural cues in the time-frequency domain: STFT, interaural phase and level difference. Arrays in, arrays out.

    cues = features.from_ears(ears, Params())   # (2, 16320) -> (321, 50, 2)

IPD = angle(right / left) in radians, ILD = 20 log10(|right| / |left|) in dB: a source on the right has positive ILD.
"""
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import rfft
from scipy.signal import get_window

LEFT, RIGHT = 0, 1
IPD, ILD = 0, 1
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
    window = get_window("hamming", window_samples).astype(signal.dtype)  # periodic, as librosa's
    spectra = rfft(frames * window)                                      # (..., frame, bin)
    return np.ascontiguousarray(np.swapaxes(spectra, -1, -2))


def interaural_cues(left, right, power_floor, out=None):
    """IPD and ILD of two spectra.

    Parameters
    ----------
    left, right : np.ndarray [shape=(...)], complex spectra of the two ears
    power_floor : float, the least |spectrum|^2 that is told from silence; keeps the cues of empty bins finite
    out : np.ndarray [shape=(..., 2)], optional, of any float type: where to write

    Returns
    -------
    np.ndarray [shape=(..., 2)], float32 unless `out` is given
        [..., 0] = IPD in radians, -pi..pi; [..., 1] = ILD in dB

    """
    if out is None:
        out = np.empty((*left.shape, 2), np.float32)
    left_re, left_im, right_re, right_im = (
        np.ascontiguousarray(part) for part in (left.real, left.imag, right.real, right.imag))  # apart they vectorise
    cross_re = right_re * left_re + right_im * left_im   # right * conj(left): its angle is that of right / left
    cross_im = right_im * left_re - right_re * left_im
    out[..., IPD] = np.arctan2(cross_im, cross_re)
    left_power = np.maximum(left_re * left_re + left_im * left_im, power_floor)
    right_power = np.maximum(right_re * right_re + right_im * right_im, power_floor)
    out[..., ILD] = DB_PER_NEPER_POWER * np.log(right_power / left_power)
    return out


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
