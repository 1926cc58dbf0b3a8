"""SOFA files (AES69): the horizontal plane of a file's impulse responses, by the file's own metadata."""
import hashlib
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from console import BadInput

HORIZONTAL_DEG = 1.0          # elevations that count as the horizontal plane


class Measured(NamedTuple):
    """Hold the horizontal plane of a set as its file has it: `response` float64 (direction, ear, tap), left first."""

    name: str
    sha256: str
    response: np.ndarray
    azimuth_deg: np.ndarray   # ascending, -180..180, negative = left
    sample_rate_hz: int
    licence: str
    corrections: tuple        # a phrase for each


def digest_of(path):
    """Compute the digest of a file's bytes (SHA-256), in hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def read_sofa(path):
    """Read the horizontal plane of a SOFA file by its own metadata.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Measured

    Raises
    ------
    BadInput : no SOFA file of impulse responses, none in the horizontal plane, not two receivers, or unusable values

    """
    import sofar  # here, not above: it takes half a second that the shipped head need not wait for

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of conventions before 1.0, in which most rooms were published
            sofa = sofar.read_sofa(str(path), verify=False, verbose=False)
        response, position = _responses_and_positions(sofa)
        rate = float(np.ravel(sofa.Data_SamplingRate)[0])
        right_first = _is_right_first(sofa.ReceiverPosition, sofa.ReceiverPosition_Type)
    except BadInput:
        raise
    except Exception as problem:  # whatever sofar, netCDF or a missing entry make of a file that is no such SOFA file
        raise BadInput(f"{path} cannot be read as a SOFA file of impulse responses ({problem}); "
                       "replace it or take it out of --hrir.") from problem
    if response.shape[1] != 2:
        raise BadInput(f"{path} holds {response.shape[1]} receivers; two ears are needed.")
    if rate <= 0 or rate != int(rate) or not np.isfinite(response).all() or not np.abs(response).max() > 0:
        raise BadInput(f"{path} holds no usable impulse responses (rate {rate:g} Hz, or NaN, or silence); replace it.")
    corrections = ()
    if right_first:
        response, corrections = response[:, ::-1], ("ears ordered by their positions (right first)",)

    distance = np.linalg.norm(position, axis=1)
    elevation_deg = np.rad2deg(np.arcsin(position[:, 2] / np.maximum(distance, 1e-9)))
    azimuth_deg = -np.rad2deg(np.arctan2(position[:, 1], position[:, 0]))  # SOFA counts counter-clockwise
    horizontal = (np.abs(elevation_deg) <= HORIZONTAL_DEG) & (distance > 0)
    if not horizontal.any():
        raise BadInput(f"{path} has no direction in the horizontal plane; take another set.")
    metres, count = np.unique(np.round(distance[horizontal], 2), return_counts=True)
    chosen = metres[len(count) - 1 - np.argmax(count[::-1])]  # of several distances the one with most directions
    if len(metres) > 1:
        corrections += (f"distance {chosen:g} m of {len(metres)}",)
    rows = np.flatnonzero(horizontal & (np.round(distance, 2) == chosen))
    azimuth_deg = np.round((azimuth_deg[rows] + 180) % 360 - 180, 4)
    azimuth_deg, first = np.unique(azimuth_deg, return_index=True)
    licence = str(getattr(sofa, "GLOBAL_License", "") or "none given").strip()
    return Measured(path.stem, digest_of(path), response[rows[first]], azimuth_deg, int(rate),
                    licence if len(licence) <= 80 else licence[:77] + "...", corrections)


def _responses_and_positions(sofa):
    """Collect all responses of a SOFA file, (path, receiver, tap), and the positions of their sources, (path, 3).

    Positions are in metres, in the listener's own axes: x ahead, y to the left, z up. A path is a
    measurement, or one of its emitters.
    """
    response = np.asarray(sofa.Data_IR, np.float64)
    measurements = len(response)

    def each(values):
        return np.broadcast_to(np.asarray(values, np.float64), (measurements, *np.shape(values)[1:]))

    source = each(_cartesian(sofa.SourcePosition, sofa.SourcePosition_Type))
    listener = each(_cartesian(sofa.ListenerPosition, sofa.ListenerPosition_Type))
    ahead = each(_cartesian(sofa.ListenerView, sofa.ListenerView_Type))
    up = each(np.asarray(getattr(sofa, "ListenerUp", [[0.0, 0.0, 1.0]]), np.float64).reshape(-1, 3))
    delay = np.asarray(sofa.Data_Delay, np.float64)
    kind = str(sofa.GLOBAL_DataType)
    if kind == "FIR":
        response, offset = response[:, np.newaxis], source[:, np.newaxis]           # (measurement, emitter, ...)
        delay = delay.reshape(len(delay), 1, -1)
    elif kind in ("FIRE", "FIR-E"):
        emitter_axis = 2 if kind == "FIRE" else 3                                   # mren; mrne since AES69-2022
        response = np.moveaxis(response, emitter_axis, 1)
        emitter = np.asarray(sofa.EmitterPosition, np.float64)
        emitter = emitter if emitter.ndim == 3 else emitter[..., np.newaxis]        # (emitter, 3, 1 or measurement)
        emitter = _cartesian(np.moveaxis(emitter, 2, 0), sofa.EmitterPosition_Type)
        offset = source[:, np.newaxis] + each(emitter)
        delay = np.moveaxis(delay.reshape(*delay.shape[:2], -1), 2, 1)
    else:
        raise BadInput(f"it holds data of type {kind}; impulse responses are needed")
    response = _delayed(response, delay)
    left = np.cross(up, ahead)
    axes = np.stack([ahead, left, np.cross(ahead, left)], axis=1)                   # (measurement, axis, 3)
    axes /= np.linalg.norm(axes, axis=2, keepdims=True)
    position = np.einsum("max,mex->mea", axes, offset - listener[:, np.newaxis])
    return response.reshape(-1, *response.shape[2:]), position.reshape(-1, 3)


def _cartesian(position, kind):
    """Turn positions (..., 3) into cartesian ones; spherical are azimuth and elevation in degrees, and distance."""
    position = np.asarray(position, np.float64)
    position = position.reshape(-1, 3) if position.ndim < 3 else position
    if str(kind).startswith("cart"):
        return position
    azimuth, elevation, distance = np.deg2rad(position[..., 0]), np.deg2rad(position[..., 1]), position[..., 2]
    return np.stack([distance * np.cos(elevation) * np.cos(azimuth), distance * np.cos(elevation) * np.sin(azimuth),
                     distance * np.sin(elevation)], axis=-1)


def _is_right_first(receivers, kind):
    """Tell whether a file's own receiver positions put its first ear on the right."""
    receivers = np.asarray(receivers, np.float64)
    receivers = receivers[..., 0] if receivers.ndim == 3 else receivers
    y = _cartesian(receivers, kind)[:, 1]
    return len(y) == 2 and y[0] < y[1]


def _delayed(response, delay):
    """Delay responses (..., tap) by `delay` (..., or 1 for all) samples, less the least of them."""
    delay = np.broadcast_to(delay, np.broadcast_shapes(delay.shape, response.shape[:-1])) - delay.min()
    if not delay.any():
        return response
    taps = response.shape[-1] + int(np.ceil(delay.max()))
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(2 * taps) * delay[..., np.newaxis])
    return np.fft.irfft(np.fft.rfft(response, 2 * taps) * turn, 2 * taps)[..., :taps]
