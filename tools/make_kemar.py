"""Makes hrtf/mit_kemar.npz from the SOFA file of MIT KEMAR that the Debian package libmysofa1 installs.

    python tools/make_kemar.py /usr/share/libmysofa/MIT_KEMAR_normal_pinna.sofa

Needs h5py, which comes with keras. The numbers are those measured: 16-bit integers at 44.1 kHz.
"""
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import console
from params import Params

SOURCE = ("MIT KEMAR HRIRs, normal pinna, elevation 0, distance 1.4 m. B. Gardner and K. Martin, "
          "HRTF measurements of a KEMAR dummy-head microphone, MIT Media Lab Perceptual Computing Technical Report "
          "280, 1994. From MIT_KEMAR_normal_pinna.sofa of the Debian package libmysofa1.")
LICENCE = "(c) 1994 MIT Media Laboratory. Free with no restrictions on use, provided the authors are cited."


def front_half_plane(sofa_path):
    """Read (37, 2, 512) int16 impulse responses, left ear first, at -90..90 degrees (negative = left) and their rate.

    Raises BadInput for a file that is not that set.
    """
    import h5py

    try:
        with h5py.File(sofa_path) as sofa:
            response, position = sofa["Data.IR"][:], sofa["SourcePosition"][:]
            sample_rate_hz = int(sofa["Data.SamplingRate"][0])
    except (OSError, KeyError) as problem:
        raise console.BadInput(f"{sofa_path} is not a readable SOFA file of HRIRs ({problem}).") from problem
    rows = []
    for azimuth_deg in Params().azimuth_deg:
        at = np.isclose(position[:, 0], -azimuth_deg % 360) & (position[:, 1] == 0)  # SOFA counts counter-clockwise
        if at.sum() != 1:
            raise console.BadInput(f"{sofa_path} has {at.sum()} responses at azimuth {azimuth_deg}, elevation 0; "
                                   "one is needed: it is not the MIT KEMAR set.")
        rows.append(response[at][0])
    integers = np.stack(rows) * 2 ** 15
    if np.any(integers != np.round(integers)):
        raise console.BadInput(f"{sofa_path} does not hold 16-bit integers as measured: take the normal pinna file.")
    return integers.astype(np.int16), sample_rate_hz


def main(argv=None):
    """Write the npz."""
    parser = console.Parser(__doc__)
    parser.add_argument("sofa", help="MIT_KEMAR_normal_pinna.sofa")
    parser.add_argument("--out", default=Path(__file__).resolve().parents[1] / "hrtf" / "mit_kemar.npz", type=Path)
    args = parser.parse_args(argv)
    responses, sample_rate_hz = front_half_plane(args.sofa)
    with console.atomic_write(args.out) as partial, open(partial, "wb") as file:
        np.savez(file, impulse_response=responses, azimuth_deg=np.array(Params().azimuth_deg, np.float32),
                 sample_rate_hz=sample_rate_hz, source=SOURCE, licence=LICENCE)
    print(f"{args.out}: {responses.shape} {responses.dtype}, {sample_rate_hz} Hz, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    sys.exit(console.run(main))
