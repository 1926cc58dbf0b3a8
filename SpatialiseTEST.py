"""Makes test samples: speech heard from 37 azimuths in noise -> interaural cues -> npz shards.

    python SpatialiseTEST.py                                    # SpeechTEST x NoiseTEST -> BinSL_TEST
    python SpatialiseTEST.py --speech MySpeech --snr-db 0 20    # other speech, two SNRs
    python SpatialiseTEST.py --listen listen                    # also 37 wavs to hear what is made

Every audio file in the folders and their subfolders is used, whatever its format and sample rate. A run that was
interrupted goes on where it stopped.

The recipe of a sample is one function of ten lines: `samples_of_pair` in shards/recipe.py.
"""
import console

if __name__ == "__main__":
    console.end_at_ctrl_c()  # while what follows is imported

import sys

from shards import flags, spatialise


def parse_args(argv=None):
    """Flags of this script: (Params, the other arguments)."""
    return flags.parse_args(__doc__, "TEST", argv)


def main(argv=None):
    """Make the shards."""
    spatialise.main(__doc__, "TEST", argv)


if __name__ == "__main__":
    sys.exit(console.run(main))
