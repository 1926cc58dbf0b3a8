"""THE numbers: every constant of the pipeline in one place, its unit in its name and its source beside it.

Scripts take their defaults from `Params()` and change single values with `dataclasses.replace`, which checks them.
"""
from dataclasses import asdict, dataclass
from math import isfinite

from console import BadInput

NOISE_FIELDS = ("diotic", "diffuse")
LOSSES = ("distribution", "mse")


@dataclass(frozen=True)
class Params:
    """Numbers of the signals, the scenes, the network and its training; BadInput for one out of its range."""

    # Signals and features: Pang, Liu and Li, IEEE Access 2019, section IV.
    sample_rate_hz: int = 16_000
    stft_window_samples: int = 640    # 40 ms, Hamming; also the length of the FFT: 321 bins of 25 Hz
    stft_hop_samples: int = 320       # 20 ms
    frames: int = 50                  # of a sample: 640 + 49 x 320 = 16,320 samples = 1.02 s
    power_floor: float = 1e-20        # of |STFT|^2: 120 dB under the rounding noise of 16-bit audio, so only for zeros

    # Directions: Gardner and Martin 1994, elevation 0, the front half plane; negative is left.
    hrir_set: str = "mit_kemar"
    hrir_padding_samples: int = 100   # at the measured rate: see hrir.load
    azimuth_deg: tuple = tuple(range(-90, 91, 5))

    # Scenes.
    snr_db: tuple = (-10, -5, 0, 5, 10, 15, 20, 25, 30)  # for training, as Pang et al.; Testing uses snr_db_test
    snr_db_test: tuple = (-6, 0, 6)
    noise_field: tuple = ("diffuse",)
    excerpts: int = 1                 # per pair of a speech and a noise file
    excerpts_of_lone_speech: int = 4  # so that a quarter of the only file can be kept for validation
    lead_in_samples: int = 320        # heard before a sample begins: longer than an HRIR, so its start is in full swing
    speech_range_db: float = 20.0     # an excerpt further than this below the loudest of its file is silence
    noise_range_db: float = 60.0      # the same for noise, whose lulls are part of it
    silence_dbfs: float = -80.0       # a file whose loudest second is weaker holds nothing but its own dither
    seed: int = 0

    # Network: Pang et al. 2019, table 2; the layers themselves stand in model.py.
    dropout: float = 0.3
    l2: float = 1e-3
    loss: str = "distribution"
    label_spread_deg: float = 4.0     # standard deviation of the soft labels: HL-Gauss, Imani and White, ICML 2018
    readout_reach_deg: float = 10.0   # the answer is the mean of the distribution this far around its peak

    # Training: docs/experiments.md holds the measurements behind these.
    batch_size: int = 64
    learning_rate: float = 1e-3
    validation_share: float = 0.25    # of the speech files, as the original kept of the samples
    samples_to_see: int = 300_000     # sets the number of epochs unless --epochs does
    epochs_min: int = 2
    epochs_max: int = 500             # as the original
    patience_share: float = 0.2       # of the epochs, at least patience_min, without a better validation loss
    patience_min: int = 5
    block_samples: int = 37           # read from a shard at once: one mixture at one SNR, 2.4 MB
    blocks_mixed: int = 96            # as many of them are shuffled together: 230 MB, twice that while the next load

    # Scoring: Pang et al. 2019 count a prediction within 5 degrees as correct.
    tolerance_deg: float = 5.0

    def __post_init__(self):
        """Refuse values out of range, naming the flag that set them."""
        _need(self.excerpts >= 1, "--excerpts", self.excerpts, "1 or more")
        _need(self.seed >= 0, "--seed", self.seed, "0 or more")
        _need(self.snr_db and all(isfinite(s) and abs(s) <= 100 for s in self.snr_db), "--snr-db", _list(self.snr_db),
              "one or more numbers from -100 to 100")
        _need(len(set(self.snr_db)) == len(self.snr_db), "--snr-db", _list(self.snr_db), "different numbers")
        _need(self.noise_field and set(self.noise_field) <= set(NOISE_FIELDS) and
              len(set(self.noise_field)) == len(self.noise_field), "--noise-field", _list(self.noise_field),
              " or ".join(NOISE_FIELDS) + " or both")
        _need(self.loss in LOSSES, "--loss", self.loss, " or ".join(LOSSES))
        _need(2 <= self.batch_size <= 4096, "--batch-size", self.batch_size, "2 to 4096")
        _need(isfinite(self.learning_rate) and 0 < self.learning_rate <= 1, "--learning-rate", self.learning_rate,
              "above 0 and at most 1")

    @property
    def bins(self):
        """Frequencies of the STFT, 0 Hz and half the sample rate included."""
        return self.stft_window_samples // 2 + 1

    @property
    def sample_shape(self):
        """Shape of one sample: (frequency, frame, channel), channel 0 = IPD, 1 = ILD."""
        return (self.bins, self.frames, 2)

    @property
    def sample_length(self):
        """Length of one sample's signal, in samples at sample_rate_hz."""
        return self.stft_window_samples + (self.frames - 1) * self.stft_hop_samples

    @property
    def excerpt_length(self):
        """What is cut from a speech file for one sample: the sample and its lead-in, in samples."""
        return self.lead_in_samples + self.sample_length

    @property
    def excerpt_s(self):
        """`excerpt_length` in seconds (1.04)."""
        return self.excerpt_length / self.sample_rate_hz

    @property
    def features(self):
        """The numbers that shards and models must share, as a dict."""
        return _subset(self, "sample_rate_hz", "stft_window_samples", "stft_hop_samples", "frames", "azimuth_deg")

    @property
    def scenes(self):
        """Every number that a shard is made with, as a dict."""
        return self.features | _subset(self, "power_floor", "hrir_set", "hrir_padding_samples", "snr_db", "noise_field",
                                       "excerpts", "lead_in_samples", "speech_range_db", "noise_range_db",
                                       "silence_dbfs", "seed")

    @property
    def training(self):
        """Every number that a model is trained with, besides those of its shards, as a dict."""
        return _subset(self, "dropout", "l2", "loss", "label_spread_deg", "readout_reach_deg", "batch_size",
                       "learning_rate", "validation_share", "block_samples", "blocks_mixed", "seed")


def _subset(params, *names):
    values = asdict(params)
    return {name: list(values[name]) if isinstance(values[name], tuple) else values[name] for name in names}


def _list(values):
    return " ".join(str(v) for v in values)


def _need(holds, flag, value, allowed):
    if not holds:
        raise BadInput(f"{flag} {value} is not possible: it takes {allowed}.")


def differences(made_with, wanted):
    """One line that says how two dicts of numbers differ ('seed 1, wanted 2; ...'), empty where they agree.

    Only the keys of `wanted` count.
    """
    return "; ".join(f"{key} {made_with.get(key, 'missing')}, wanted {value}"
                     for key, value in wanted.items() if made_with.get(key) != value)
