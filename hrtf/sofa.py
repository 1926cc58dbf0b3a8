"""SOFA files (AES69): the horizontal plane of a file's impulse responses, by the file's own metadata.

Files are read by what they hold, whatever convention and version they name; what is assumed is told. A damaged file is
refused by the checksums of HDF5, by those of a file beside it, or because nobody can have measured it (plausible.py).
"""
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from console import BadInput, sha256_of, short
from hrtf.plausible import GREATEST, fault_of
from params import GREATEST_RATE_HZ, LEAST_RATE_HZ

HORIZONTAL_DEG = 1.5          # elevations that count as the horizontal plane
USUAL = {  # variable: what stands for it in a file without, and what is told then; None: it must be there
    "Data_IR": (None, ""),
    "Data_SamplingRate": (None, ""),
    "Data_Delay": ([[0.0, 0.0]], ""),
    "SourcePosition": (None, ""),
    "EmitterPosition": ([[0.0, 0.0, 0.0]], ""),
    "ReceiverPosition": ([[0.0, 0.09, 0.0], [0.0, -0.09, 0.0]], "no receiver positions: left ear taken as the first"),
    "ListenerPosition": ([[0.0, 0.0, 0.0]], ""),
    "ListenerView": ([[1.0, 0.0, 0.0]], "no view: the listener taken to look along x"),
    "ListenerUp": ([[0.0, 0.0, 1.0]], ""),
}
RATE_STEP_HZ = 25             # all common sample rates are multiples of it, but for those of ODD_RATES_HZ
ODD_RATES_HZ = (32_768, 48_828, 65_536, 97_656)
GREATEST_DEG, GREATEST_M = 360.0, 1000.0  # of a source's angles and distance
LONGEST_DELAY_S = 2e-3        # between the ears, in Data.Delay
SAME_DISTANCE_M = 0.05        # measured distances no further apart from one to the next are one distance


class Measured(NamedTuple):
    """Hold the horizontal plane of a set as its file has it: `response` float64 (direction, ear, tap), left first."""

    name: str
    sha256: str
    response: np.ndarray
    azimuth_deg: np.ndarray   # ascending, -180..180, negative = left
    sample_rate_hz: int
    licence: str
    corrections: tuple        # a phrase for each


def read_sofa(path, receivers=()):
    """Read the horizontal plane of a SOFA file by its own metadata.

    Parameters
    ----------
    path : Path
    receivers : () or (int, int), which receivers are the left and the right ear, counted from 1; for more than two

    Returns
    -------
    Measured

    Raises
    ------
    BadInput : no SOFA file of impulse responses, none in the horizontal plane, not two receivers, or values that are
        unusable or damaged

    """
    try:
        sofa = _contents(path)
        response, position = _responses_and_positions(sofa)
        rate = float(np.ravel(sofa.Data_SamplingRate)[0])
        right_first = _is_right_first(sofa.ReceiverPosition, sofa.ReceiverPosition_Type)
    except BadInput:
        raise
    except Exception as problem:  # whatever netCDF or a missing entry make of a file that is no such SOFA file
        raise BadInput(f"{path} cannot be read as a SOFA file of impulse responses ({short(problem)}); "
                       "replace it or take it out of --hrir.") from problem
    count = response.shape[1]
    if receivers and max(receivers) <= count:
        response, right_first = response[:, [number - 1 for number in receivers]], False
    elif receivers or count != 2:
        raise BadInput(f"{path} holds {count} receiver(s), not two ears; choose the left and the right one of them "
                       "with --receivers, for example --receivers 1 2.")
    is_rate = LEAST_RATE_HZ <= rate <= GREATEST_RATE_HZ and (rate % RATE_STEP_HZ == 0 or rate in ODD_RATES_HZ)
    if not is_rate or not np.isfinite(response).all() or not np.abs(response).max() > 0:
        raise BadInput(f"{path} holds no usable impulse responses (rate {rate:g} Hz, or NaN, or silence); replace it.")
    corrections = tuple(sofa.assumed)
    if right_first:
        response, corrections = response[:, ::-1], ("ears ordered by their positions (right first)", *corrections)

    distance = np.linalg.norm(position, axis=1)
    elevation_deg = np.rad2deg(np.arcsin(position[:, 2] / np.maximum(distance, 1e-9)))
    azimuth_deg = -np.rad2deg(np.arctan2(position[:, 1], position[:, 0]))  # SOFA counts counter-clockwise
    horizontal = (np.abs(elevation_deg) <= HORIZONTAL_DEG + 1e-6) & (distance > 0)
    if not horizontal.any():
        raise BadInput(f"{path} has no direction in the horizontal plane; take another set.")
    ordered = np.sort(distance[horizontal])
    group = np.searchsorted(ordered[1:][np.diff(ordered) > SAME_DISTANCE_M], distance, side="right")  # of each path
    count = np.bincount(group[horizontal])
    chosen = len(count) - 1 - int(np.argmax(count[::-1]))  # of several distances the one with most directions
    rows = np.flatnonzero(horizontal & (group == chosen))
    if len(count) > 1:
        corrections += (f"distance {round(np.median(distance[rows]), 2):g} m of {len(count)}",)
    if np.ptp(np.round(elevation_deg[rows], 2)) or abs(elevation_deg[rows[0]]) > 1:
        corrections += (f"elevations of up to {np.abs(elevation_deg[rows]).max():.1f} degrees taken as horizontal",)
    rows = rows[np.argsort(np.abs(elevation_deg[rows]), kind="stable")]  # of one azimuth the nearest to the horizon
    azimuth_deg = np.round((azimuth_deg[rows] + 180) % 360 - 180, 4)
    azimuth_deg, first = np.unique(azimuth_deg, return_index=True)
    digest = sha256_of(path)
    if fault := _other_digest(path, digest) or fault_of(response[rows[first]], rate):
        raise BadInput(f"{path} is damaged: {fault}; get it again where it came from, or take another set.")
    licence = str(sofa.GLOBAL_License or "none given").strip()
    return Measured(path.stem, digest, response[rows[first]], azimuth_deg, int(rate),
                    licence if len(licence) <= 80 else licence[:77] + "...", corrections)


def _other_digest(path, digest):
    """Compare a digest with what `sha256sum FILE > FILE.sha256` wrote, where it was: a phrase, empty if it is that."""
    noted = path.with_name(path.name + ".sha256")
    is_same = not noted.is_file() or noted.read_text(encoding="utf-8", errors="replace").lower().startswith(digest)
    return "" if is_same else f"its digest is not that in {noted.name}"


def _contents(path):
    """Read the variables and attributes of a SOFA file that are used here, in degrees, metres and hertz.

    `assumed` tells of what it lacks.
    """
    import netCDF4  # here, not above: it takes a moment that the shipped head need not wait for

    found = SimpleNamespace(assumed=[], emitter_axis=None)
    with netCDF4.Dataset(path) as file:
        names = {name.replace(".", "_"): variable for name, variable in file.variables.items()}
        for name in ("GLOBAL_DataType", "GLOBAL_License"):
            setattr(found, name, getattr(file, name.removeprefix("GLOBAL_"), ""))
        for name, (usual, told) in USUAL.items():
            variable = names.get(name)
            if variable is None:
                if usual is None:
                    raise ValueError(f"it holds no {name.replace('_', '.')}")
                if told:
                    found.assumed.append(told)
                setattr(found, name, np.array(usual))
                setattr(found, f"{name}_Type", "cartesian")
                continue
            values = np.ma.filled(variable[:].astype(np.float64), np.nan)
            units = str(getattr(variable, "Units", "")).lower()
            if units.startswith("rad"):
                values[:, :2] = np.rad2deg(values[:, :2])
            setattr(found, name, values * 1000 if units.startswith(("khz", "kilohertz")) else values)
            kind = str(getattr(variable, "Type", "cartesian" if name != "ListenerUp" else found.ListenerView_Type))
            setattr(found, f"{name}_Type", kind)
        if "E" in names["Data_IR"].dimensions:
            found.emitter_axis = names["Data_IR"].dimensions.index("E")
    if not found.GLOBAL_DataType:
        found.GLOBAL_DataType = "FIR" if found.emitter_axis is None else "FIR-E"
        found.assumed.append(f"no type of data: taken as {found.GLOBAL_DataType}")
    if "spherical" in found.ListenerUp_Type and np.allclose(found.ListenerUp, [0, 0, 1]):
        found.ListenerUp_Type = "cartesian"  # the usual vector, whose type was left to that of the view
    return found


def _responses_and_positions(sofa):
    """Collect all responses of a SOFA file, (path, receiver, tap), and the positions of their sources, (path, 3).

    Positions are in metres, in the listener's own axes: x ahead, y to the left, z up. A path is a
    measurement, or one of its emitters.
    """
    response = np.asarray(sofa.Data_IR, np.float64)
    measurements = len(response)
    if np.abs(response).max(initial=0) > GREATEST:  # NaN is told in read_sofa
        raise ValueError("its responses are enormous")
    _require_places(sofa.SourcePosition, sofa.SourcePosition_Type)

    def each(values):
        return np.broadcast_to(np.asarray(values, np.float64), (measurements, *np.shape(values)[1:]))

    source = each(_cartesian(sofa.SourcePosition, sofa.SourcePosition_Type))
    listener = each(_cartesian(sofa.ListenerPosition, sofa.ListenerPosition_Type))
    ahead = each(_direction(sofa.ListenerView, sofa.ListenerView_Type))
    up = each(_direction(sofa.ListenerUp, sofa.ListenerUp_Type))
    delay = np.asarray(sofa.Data_Delay, np.float64)
    if not np.ptp(delay) <= np.ravel(sofa.Data_SamplingRate)[0]:
        raise ValueError(f"its Data.Delay spans {np.ptp(delay):g} samples, more than a second")
    kind = str(sofa.GLOBAL_DataType)
    if kind == "FIR":
        if not np.any(np.linalg.norm(source, axis=1)):  # distances that nobody wrote down: directions all the same
            source = each(_direction(sofa.SourcePosition, sofa.SourcePosition_Type))
        response, offset = response[:, np.newaxis], source[:, np.newaxis]           # (measurement, emitter, ...)
        delay = delay.reshape(len(delay), 1, -1)
    elif kind in ("FIRE", "FIR-E"):
        response = np.moveaxis(response, sofa.emitter_axis, 1)
        emitter = np.asarray(sofa.EmitterPosition, np.float64)
        emitter = emitter if emitter.ndim == 3 else emitter[..., np.newaxis]        # (emitter, 3, 1 or measurement)
        emitter = _cartesian(np.moveaxis(emitter, 2, 0), sofa.EmitterPosition_Type)
        offset = source[:, np.newaxis] + each(emitter)
        delay = np.moveaxis(delay.reshape(*delay.shape[:2], -1), 2, 1)
    else:
        raise ValueError(f"it holds data of type {kind}")
    if delay.shape[-1] == 2 and np.ptp(delay, axis=-1).max() > LONGEST_DELAY_S * np.ravel(sofa.Data_SamplingRate)[0]:
        raise ValueError("its Data.Delay differs between the ears by more than a head's")
    response = _delayed(response, delay)
    left = np.cross(up, ahead)
    if not np.all(np.linalg.norm(left, axis=1) > 1e-9):
        raise ValueError("its ListenerView or ListenerUp is zero or NaN, or both are one direction")
    axes = np.stack([ahead, left, np.cross(ahead, left)], axis=1)                   # (measurement, axis, 3)
    axes /= np.linalg.norm(axes, axis=2, keepdims=True)
    position = np.einsum("max,mex->mea", axes, offset - listener[:, np.newaxis])
    return response.reshape(-1, *response.shape[2:]), position.reshape(-1, 3)


def _require_places(position, kind):
    """Raise ValueError for positions of sources that nobody measured."""
    angles, metres = ((), position) if str(kind).startswith("cart") else (position[..., :2], position[..., 2])
    if not (np.abs(angles) <= GREATEST_DEG).all() or not (np.abs(metres) <= GREATEST_M).all():
        raise ValueError("its SourcePosition is NaN, or no angle or distance that can be measured")


def _direction(view, kind):
    """Turn views into cartesian directions; a spherical one of radius 0 is a direction all the same."""
    view = np.array(view, np.float64)
    if not str(kind).startswith("cart"):
        view[..., 2] = 1
    return _cartesian(view, kind)


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
