"""The numbers a user may change: each with its unit in its name and its source beside it.

Scripts take their defaults from `Params()` and change single values with `dataclasses.replace`, which checks them.
"""
from dataclasses import asdict, dataclass, replace
from math import ceil, floor, isfinite
from typing import ClassVar

from console import BadInput, short

NOISE_FIELDS = ("diffuse", "diotic", "directional", "talker", "mixed")
MODELS = ("cnn", "original")
LOSSES = ("distribution", "mse")
PRECISIONS = ("float32", "bfloat16", "float16")
MOST_TALKERS = 4  # of a sample
FRAME_S = 0.02    # of the cues: answers come every so many of them
LEAST_RATE_HZ, GREATEST_RATE_HZ = 1_000, 1_000_000  # of what users give; beyond, a header or a unit is wrong


@dataclass(frozen=True)
class Params:
    """Hold the numbers of the signals, the scenes, the network and its training; BadInput for one out of its range.

    A range is (least, greatest), drawn from evenly; () is off.

    >>> params = Params(snr_db=(0, 20))
    >>> params.sample_shape, params.sample_s
    ((321, 50, 2), 1.02)
    >>> Params(frames=5)
    Traceback (most recent call last):
    console.BadInput: --frames 5 is not possible: it takes 10 to 200.
    """

    # Signals and features: those of CNNBSL, after Pang, Liu and Li, IEEE Access 2019.
    sample_rate_hz: int = 16_000
    stft_window_samples: int = 640    # 40 ms, Hamming; also the length of the FFT: 321 bins of 25 Hz
    stft_hop_samples: int = 320       # 20 ms
    frames: int = 50                  # of a sample: 640 + 49 x 320 = 16,320 samples = 1.02 s; 10 to 200
    power_floor: float = 1e-20        # of |STFT|^2: 120 dB under the rounding noise of 16-bit audio, so only for zeros

    # Directions: Gardner and Martin 1994, elevation 0, the front half plane; negative is left.
    hrir_set: tuple = ("mit_kemar",)  # or SOFA files, folders and patterns of them
    hrir_weights: tuple = ()          # how often each of hrir_set is drawn; () is every head alike
    receivers: tuple = ()             # of SOFA files of more than two: the left and the right ear, counted from 1
    channels: tuple = ()              # of labelled recordings of more than two, likewise
    left_right: str = "check"         # of SOFA files: see hrir.load
    hrir_padding_samples: int = 100   # at the measured rate: see hrir.load
    azimuth_deg: tuple = tuple(range(-90, 91, 5))  # of the source: the labels
    circle_deg: tuple = tuple(range(-90, 91, 5))   # where diffuse noise comes from, and any other interferer
    class_deg: tuple = tuple(range(-90, 91, 5))    # what the network's distribution is over, whatever the labels

    # Scenes.
    snr_db: tuple = (-10, -5, 0, 5, 10, 15, 20, 25, 30)  # for training, as CNNBSL; Testing uses snr_db_test
    snr_db_test: tuple = (-6, 0, 6)
    noise_field: tuple = ("diffuse",)
    excerpts: int = 1                 # per pair of a speech and a noise file
    excerpts_of_lone_speech: int = 4  # so that a quarter of the only file can be kept for validation
    lead_in_samples: int = 320        # before a sample begins: longer than an HRIR, so that it starts in steady state
    speech_range_db: float = 20.0     # an excerpt further than this below the loudest of its file is silence
    noise_range_db: float = 60.0      # the same for noise, whose lulls are part of it
    silence_dbfs: float = -80.0       # a file whose loudest second is weaker holds nothing but its own dither
    seed: int = 0

    # Varied scenes, off by default: RANGES below names them, docs/scenes.md shows what each does.
    snr_range_db: tuple = ()
    head_size: tuple = ()
    head_colour_db: float = 0.0
    side_level_db: tuple = ()
    head_share: float = 1.0           # of the scenes have another head, the others the measured one
    rt60_s: tuple = ()
    room_share: float = 1.0           # of the scenes are in a room, the others in the free field
    drr_db: tuple = (-3.0, 15.0)      # of the rooms of rt60_s
    mic_level_db: float = 0.0
    mic_colour_db: float = 0.0
    sensor_snr_db: tuple = ()
    source_level_db: tuple = ()
    source_colour_db: float = 0.0
    source_speed: tuple = ()
    noise_colour_db: float = 0.0
    noise_swell_db: float = 0.0
    band_limit_share: float = 0.0
    other_sounds_share: float = 0.0
    mixed_level_db: float = 10.0      # noise field "mixed": the second noise is up to this much weaker or stronger
    least_snr_of_two_db: float = 3.0  # drawn beside a second source from one direction: else either could be meant

    # Talkers: how many speak at once in a sample, drawn for each; the loudest is talker 1, whose SNR is that of the
    # sample. Stored where they differ from one talker.
    talkers: tuple = (1,)             # 0 is noise alone; a number that is named twice is drawn twice as often
    talker_level_db: float = 6.0      # the others are weaker than the loudest by up to this much
    least_talker_distance_deg: float = 10.0  # between any two of them

    # Network; the layers stand in network/cnn.py and network/original.py.
    model: str = "cnn"
    dropout: float = 0.3              # of the original, CNNBSL
    l2: float = 1e-3                  # of its convolutions
    loss: str = "distribution"
    label_sigma_deg: float = 3.0      # standard deviation of the soft labels: HL-Gauss, Imani and White, ICML 2018
    readout_reach_deg: float = 5.0    # the answer is the mean of the distribution this far around its peak

    # Training: docs/log/ holds the measurements behind these.
    batch_size: int = 64
    learning_rate: float = 1e-3
    precision: str = "float32"        # of the large products in training; weights and losses are float32 in any case
    validation_share: float = 0.25    # of the speech files, as the original kept of the samples
    own_head_share: float = 0.0       # of the scenes mixed on the fly are compared with their own head's templates
    samples_to_see: int = 300_000     # sets the number of epochs unless --epochs does
    epochs_min: int = 2
    epochs_max: int = 500             # as the original
    patience_share: float = 0.2       # of the epochs, at least patience_min, without a better validation loss
    patience_min: int = 5
    block_samples: int = 37           # read from a shard at once: one mixture at one SNR, 2.4 MB
    blocks_mixed: int = 96            # as many of them are shuffled together: 230 MB, twice that while the next load

    # Localising recordings.
    hop_s: float = 0.1                # from answer to answer, a multiple of FRAME_S
    live_hop_s: float = 0.04          # the same of --live: a line comes this much later at most
    live_window_s: float = 0.3        # that an answer of --live covers: docs/recordings.md says what shorter ones cost
    most_half_width_95_deg: float = 15.0  # of a source, for models whose training heard no noise alone

    # Scoring: CNNBSL, the original, counts a prediction as correct that is within 5 degrees when rounded.
    tolerance_deg: float = 5.0

    # What a model file stores of how it was trained.
    TRAINING: ClassVar = ("model", "class_deg", "dropout", "l2", "loss", "label_sigma_deg", "readout_reach_deg",
                          "batch_size", "learning_rate", "validation_share", "block_samples", "blocks_mixed", "seed")

    def __post_init__(self):
        """Refuse values out of range, naming the flag that set them."""
        _require(self.excerpts >= 1, "--excerpts", self.excerpts, "1 or more")
        _require(self.seed >= 0, "--seed", self.seed, "0 or more")
        _require(self.snr_db and all(isfinite(s) and abs(s) <= 100 for s in self.snr_db), "--snr-db",
                 _list(self.snr_db), "one or more numbers from -100 to 100")
        _require(len(set(self.snr_db)) == len(self.snr_db), "--snr-db", _list(self.snr_db), "different numbers")
        _require(self.noise_field and set(self.noise_field) <= set(NOISE_FIELDS) and
                 len(set(self.noise_field)) == len(self.noise_field), "--noise-field", _list(self.noise_field),
                 "one or several of " + ", ".join(NOISE_FIELDS))
        _require(10 <= self.frames <= 200, "--frames", self.frames, "10 to 200")
        _require(self.azimuth_deg and all(-90 <= a <= 90 for a in self.azimuth_deg) and
                 len(set(self.azimuth_deg)) == len(self.azimuth_deg), "--azimuth-deg", _list(self.azimuth_deg),
                 "different numbers from -90 to 90")
        _require(self.hrir_set and len(set(self.hrir_set)) == len(self.hrir_set), "--hrir", _list(self.hrir_set),
                 "different sets")
        _require(not self.hrir_weights or len(self.hrir_weights) == len(self.hrir_set) and
                 all(0 < weight <= 1e4 for weight in self.hrir_weights), "--hrir-weights", _list(self.hrir_weights),
                 f"a number above 0 for each of the {len(self.hrir_set)} of --hrir")
        _require(0 <= self.own_head_share <= 1, "--own-head-share", self.own_head_share, "0 to 1")
        self._require_possible_talkers()
        for name in ("receivers", "channels"):
            pair = getattr(self, name)
            _require(not pair or len(pair) == 2 and pair[0] != pair[1] and min(pair) >= 1, flag_of(name), _list(pair),
                     "two different numbers from 1 on")
        for name, (least, greatest, _) in RANGES.items():
            value = getattr(self, name)
            low, high = (value or (least, least)) if isinstance(value, tuple) else (value, value)
            allowed = (f"two numbers, the smaller first, from {least:g} to {greatest:g}" if isinstance(value, tuple)
                       else f"{least:g} to {greatest:g}")
            _require(least <= low <= high <= greatest, flag_of(name), _list((low, high) if isinstance(value, tuple)
                                                                          else (value,)), allowed)
        _require(self.model in MODELS, "--model", self.model, " or ".join(MODELS))
        _require(self.loss in LOSSES, "--loss", self.loss, " or ".join(LOSSES))
        _require(self.precision in PRECISIONS, "--precision", self.precision, " or ".join(PRECISIONS))
        _require(FRAME_S <= self.hop_s <= 60, "--hop-s", self.hop_s, "0.02 to 60")
        frames = self.hop_s / FRAME_S
        _require(abs(frames - round(frames)) < 1e-6, "--hop-s", self.hop_s,
                 f"multiples of {FRAME_S:g}, such as {floor(frames) * FRAME_S:g} or {ceil(frames) * FRAME_S:g}")
        _require(0.22 <= self.live_window_s <= 4, "--window-s", self.live_window_s, "0.22 to 4")
        _require(2 <= self.batch_size <= 4096, "--batch-size", self.batch_size, "2 to 4096")
        _require(isfinite(self.learning_rate) and 0 < self.learning_rate <= 1, "--learning-rate", self.learning_rate,
                 "above 0 and at most 1")

    def _require_possible_talkers(self):
        """Refuse numbers of talkers that do not fit between the azimuths, and a competing talker who is not counted."""
        _require(self.talkers and all(number in range(MOST_TALKERS + 1) for number in self.talkers), "--talkers",
                 _list(self.talkers), f"one or more whole numbers from 0 to {MOST_TALKERS}")
        _require(0 <= self.talker_level_db <= 40, "--talker-level-db", self.talker_level_db, "0 to 40")
        _require(0 < self.least_talker_distance_deg <= 180, "--least-talker-distance-deg",
                 self.least_talker_distance_deg, "a number above 0 and at most 180")
        if not self.has_talkers:
            return
        if "talker" in self.noise_field:
            raise BadInput("--noise-field talker adds a talker that --talkers does not count; choose other noise "
                           "fields.")
        fit, last = 0, -float("inf")
        for azimuth_deg in sorted(self.azimuth_deg):
            if azimuth_deg - last >= self.least_talker_distance_deg:
                fit, last = fit + 1, azimuth_deg
        if fit < self.most_talkers:
            raise BadInput(f"--talkers {_list(self.talkers)} is not possible: {fit} fit between the azimuths, "
                           f"{self.least_talker_distance_deg:g} degrees apart; name fewer, more --azimuth-deg or a "
                           "smaller --least-talker-distance-deg.")

    @property
    def has_talkers(self):
        """Tell whether samples have any other number of talkers than one each."""
        return set(self.talkers) != {1}

    @property
    def most_talkers(self):
        """Give the greatest number of talkers of a sample, at least 1: the columns of what is stored of them."""
        return max(1, *self.talkers)

    @property
    def bins(self):
        """Count the frequencies of the STFT, 0 Hz and half the sample rate included."""
        return self.stft_window_samples // 2 + 1

    @property
    def sample_shape(self):
        """Give the shape of one sample: (frequency, frame, channel), channel 0 = IPD, 1 = ILD."""
        return (self.bins, self.frames, 2)

    @property
    def sample_length(self):
        """Give the length of one sample's signal, in samples at sample_rate_hz."""
        return self.stft_window_samples + (self.frames - 1) * self.stft_hop_samples

    @property
    def excerpt_length(self):
        """Give the length of what is cut from a speech file: the sample and its lead-in, in samples."""
        return self.lead_in_samples + self.sample_length

    def in_memory_of(self, count):
        """Reduce a count of samples so that it takes no more memory than with the usual 50 frames."""
        return max(1, count * 50 // max(50, self.frames))

    @property
    def sample_s(self):
        """Give `sample_length` in seconds (1.02)."""
        return self.sample_length / self.sample_rate_hz

    @property
    def excerpt_s(self):
        """Give `excerpt_length` in seconds (1.04)."""
        return self.excerpt_length / self.sample_rate_hz

    @property
    def silence_power(self):
        """Give `silence_dbfs` as a mean square (1e-8)."""
        return 10 ** (self.silence_dbfs / 10)

    @property
    def features(self):
        """Collect the numbers that shards and models must share, as a dict; they may differ in `frames`."""
        return _subset(self, "sample_rate_hz", "stft_window_samples", "stft_hop_samples")

    @property
    def scenes(self):
        """Collect every number that a shard is made with, as a dict."""
        return self.features | _subset(self, "frames", "power_floor", "hrir_set", "left_right", "hrir_padding_samples",
                                       "azimuth_deg", "circle_deg", "snr_db", "noise_field", "excerpts",
                                       "lead_in_samples", "speech_range_db", "noise_range_db", "silence_dbfs",
                                       "mixed_level_db", "least_snr_of_two_db", "seed",
                                       *(name for name in (*RANGES, "receivers", "channels", "hrir_weights")
                                         if name not in SINCE_0_4 or getattr(self, name)),
                                       *(TALKERS if self.has_talkers else ()))

    @property
    def layer_dtype(self):
        """Name Keras's dtype policy of the layers with large products, in training."""
        return self.precision if self.precision == "float32" else f"mixed_{self.precision}"

    @property
    def training(self):
        """Collect every number that a model is trained with, besides those of its shards, as a dict."""
        return _subset(self, *self.TRAINING, *(["precision"] if self.precision != "float32" else []))


# Varied scenes: least and greatest value that makes sense, and what is drawn. One number is a standard deviation or a
# limit, two are a range; the flag is the name with dashes.
RANGES = {
    "snr_range_db": (-100, 100, "SNR drawn from this range, one for each mixture, in place of --snr-db"),
    "head_size": (0.7, 1.4, "heads of other sizes: the time axis of the HRIRs stretched by a factor of this range"),
    "head_colour_db": (0, 10, "heads of other spectral coloration: standard deviation of random EQ curves on each ear"),
    "side_level_db": (-20, 20, "level of lateral directions relative to the front, speech and noise alike"),
    "head_share": (0, 1, "share of the scenes that get such another head or other levels"),
    "rt60_s": (0.05, 3, "simulated rooms of this reverberation time"),
    "room_share": (0, 1, "share of the scenes that are in such a room"),
    "drr_db": (-20, 40, "direct-to-reverberant ratio of those rooms, with the source in front"),
    "mic_level_db": (0, 20, "largest level difference between the two microphones; most pairs differ by less"),
    "mic_colour_db": (0, 10, "spectral coloration of each microphone: standard deviation of random EQ curves"),
    "sensor_snr_db": (-20, 120, "independent white noise of each microphone, this far below the speech from the front"),
    "source_level_db": (-60, 60, "level of the speech, and the noise with it, relative to the sensor noise"),
    "source_colour_db": (0, 20, "spectral coloration of the speech: standard deviation of random EQ curves"),
    "source_speed": (0.5, 2, "playback speed of the speech, a factor of this range; pitch and formants change too"),
    "noise_colour_db": (0, 20, "spectral coloration of the noise: standard deviation of random EQ curves"),
    "noise_swell_db": (0, 40, "most that diffuse noise rises and falls, from each direction by itself, as waves and "
                              "gusts of wind do"),
    "band_limit_share": (0, 1, "share of the scenes whose recording ends at a frequency from 3.4 to 7.5 kHz, as those "
                               "of telephones and of lossy codecs do"),
    "other_sounds_share": (0, 1, "share of the scenes with another sound in place of speech: a band of noise, a tone, "
                                 "clicks or a sweep"),
}
# Stored where set, so that earlier shards still fit.
SINCE_0_4 = ("receivers", "channels", "hrir_weights", "band_limit_share", "other_sounds_share", "noise_swell_db")
TALKERS = ("talkers", "talker_level_db", "least_talker_distance_deg")  # stored where talkers differ from one each

# --world: all of it at once, the recipe of the model that ships. Heads: adults, whose longest interaural delay is 0.646
# ms with a standard deviation of 5 % (Algazi et al. 2001: 45 heads); beside measured people, a part of that range.
# Rooms: from a furnished office to a lecture hall, with talkers near and far. Microphones: in recordings of one dummy
# head (LOCATA) the two differed by -2.5 to 3 dB. Talkers: mostly one, since their number is known to be one in most of
# what the project measures.
WORLD = {
    "noise_field": ("diffuse", "diotic", "mixed"),
    "snr_range_db": (-12.0, 30.0),
    "talkers": (0, 1, 1, 1, 1, 1, 1, 2, 2, 3),
    "head_size": (0.93, 1.07),
    "head_colour_db": 2.0,
    "side_level_db": (-12.0, 1.0),
    "head_share": 0.6,
    "rt60_s": (0.1, 1.2),
    "room_share": 0.6,
    "drr_db": (-10.0, 15.0),
    "mic_level_db": 6.0,
    "mic_colour_db": 1.0,
    "sensor_snr_db": (20.0, 60.0),
    "source_level_db": (-10.0, 10.0),
    "source_colour_db": 4.0,
    "source_speed": (0.85, 1.18),
    "noise_colour_db": 8.0,
    "noise_swell_db": 20.0,
    "band_limit_share": 0.15,
    "other_sounds_share": 0.1,
}


def flag_of(name):
    """Name the flag that sets a field of Params: "rt60_s" -> "--rt60-s"."""
    return "--" + name.replace("_", "-")


def stored_name(name):
    """Name the key of a field of Params in files: as earlier versions called it, so that what they made still loads."""
    return {"label_sigma_deg": "label_spread_deg"}.get(name, name)


def from_stored(stored, names):
    """Make Params of the dict that a file stores: the values of `names`, lists as tuples, the others as by default."""
    values = {name: stored[stored_name(name)] for name in names}
    return replace(Params(), **{name: tuple(value) if isinstance(value, list) else value
                                for name, value in values.items()})


def _subset(params, *names):
    values = asdict(params)
    return {stored_name(name): list(values[name]) if isinstance(values[name], tuple) else values[name]
            for name in names}


def _list(values):
    return " ".join(str(v) for v in values)


def _require(holds, flag, value, allowed):
    if not holds:
        raise BadInput(f"{flag} {value} is not possible: it takes {allowed}.")


def differences(made_with, wanted):
    """Describe in one line how two dicts of numbers differ; empty where they agree. Only the keys of `wanted` count.

    A number that is None in `wanted` is one that should be missing.

    >>> differences({"seed": 1, "frames": 50}, {"seed": 2, "frames": 50})
    'seed 1, wanted 2'
    """
    return "; ".join(f"{key} {short(made_with.get(key, 'missing'), 500)}, wanted {'none' if value is None else value}"
                     for key, value in wanted.items() if made_with.get(key) != value)
