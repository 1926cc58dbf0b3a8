"""Speed of SpatialiseTRAIN.py, beside the plain method and beside writing the same bytes to the same disk.

    python benchmarks/spatialise.py                   # about 4 minutes
    python benchmarks/spatialise.py --disk /mnt/data  # on another disk

The plain method is that of the original scripts: for each mixture and azimuth resample the HRIRs, convolve, two librosa
STFTs, double precision, stacked onto one growing array. Makes its audio with tools/make_demo_audio.py.
"""
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
import hrir
from benchmarks import ratios
from params import Params
from shards.audio import read_mono
from sound import mixing

SPEECH, NOISE = 16, 2            # files
PLAIN_SPEECH = 4                 # of them, at one SNR: the plain method needs seconds for 100 samples
RESPONSE_S = 1.0                 # of a room, beside which the excerpt's own second is short


def plain_method(speech_files, noise_files, snrs_db, params):
    """Spatialise and transform as the original does; returns the number of samples."""
    import librosa

    with np.load(hrir.FOLDER / "mit_kemar.npz") as stored:
        measured = stored["impulse_response"] / 2 ** 15
    everything = None
    for speech_file, noise_file, snr_db in [(s, n, snr_db) for s in speech_files for n in noise_files
                                            for snr_db in snrs_db]:
        speech, _ = librosa.load(speech_file, sr=params.sample_rate_hz, dtype=np.float64)
        noise, _ = librosa.load(noise_file, sr=params.sample_rate_hz, dtype=np.float64)
        speech, noise = speech[:params.excerpt_length], noise[:params.excerpt_length]
        for row in range(len(params.azimuth_deg)):
            response = librosa.resample(measured[row], orig_sr=44_100, target_sr=params.sample_rate_hz)
            ears = np.stack([np.convolve(speech, taps)[params.lead_in_samples:params.excerpt_length]
                             for taps in response])
            gain = np.sqrt(np.mean(ears ** 2) / np.mean(noise ** 2) * 10 ** (-snr_db / 10))
            left, right = (librosa.stft(ear + gain * noise[params.lead_in_samples:], n_fft=params.stft_window_samples,
                                        hop_length=params.stft_hop_samples, window="hamming", center=False)
                           for ear in ears)
            ratio = (right + 1e-20) / (left + 1e-20)
            cues = np.stack((np.angle(ratio), 20 * np.log10(np.abs(ratio))), axis=-1)[np.newaxis]
            everything = cues if everything is None else np.vstack((everything, cues))
    return len(everything)


def demo_files(work, params):
    """Make demo audio in `work`, and copy SPEECH and NOISE files of it to folders of these names; returns them."""
    ratios.run([sys.executable, ROOT / "tools" / "make_demo_audio.py", "--root", work])
    kept = {}
    for name, source, count in (("speech", "SpeechTRAIN", SPEECH), ("noise", "NoiseTRAIN", NOISE)):
        (work / name).mkdir()
        kept[name] = [Path(shutil.copy(path, work / name)) for path in sorted((work / source).glob("*.wav"))[:count]]
        for path in kept[name]:
            read_mono(path, params)  # into the page cache
    return kept


def demo_shards(work, out):
    """Spatialise the files of `demo_files` with SpatialiseTRAIN.py as it is, into `out`."""
    ratios.run([sys.executable, ROOT / "SpatialiseTRAIN.py", "--speech", work / "speech", "--noise", work / "noise",
                "--out", out])


def write_same_bytes(contents, out):
    """Write contents of files again, file by file, through to the disk."""
    for number, content in enumerate(contents):
        with open(out / f"{number}.bin", "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def whole_script(work, params, repetitions):
    """Measure the script, the disk and the plain method: a table."""
    files, out, again = demo_files(work, params), work / "out", work / "again"
    again.mkdir()
    demo_shards(work, out)
    contents = [path.read_bytes() for path in sorted(out.glob("*.npz"))]
    samples = len(files["speech"]) * len(files["noise"]) * len(params.snr_db) * len(params.azimuth_deg)
    few = files["speech"][:PLAIN_SPEECH]

    def anew():
        shutil.rmtree(out)
        demo_shards(work, out)

    rates = ratios.alternately({
        "plain method": ratios.per_second(len(few) * len(files["noise"]) * len(params.azimuth_deg),
                                          lambda: plain_method(few, files["noise"], params.snr_db[:1], params)),
        "writing the same bytes": ratios.per_second(samples, lambda: write_same_bytes(contents, again)),
        "SpatialiseTRAIN.py": ratios.per_second(samples, anew)}, repetitions)
    return ratios.table("samples/s", rates, {"SpatialiseTRAIN.py": ["plain method", "writing the same bytes"]})


def long_responses(params, repetitions):
    """Measure one excerpt through a room's 37 x 2 responses, beside overlap-add and plain FFTs of each: a table."""
    from scipy.signal import fftconvolve, oaconvolve

    rng = np.random.default_rng(0)
    response = rng.standard_normal((37, 2, int(RESPONSE_S * params.sample_rate_hz))).astype(np.float32)
    signal = rng.standard_normal(4 * params.sample_rate_hz).astype(np.float32)
    head = hrir.load("mit_kemar", params.sample_rate_hz, params.azimuth_deg)._replace(response=response,
                                                                                      rt60_s=RESPONSE_S)
    mixer = mixing.Mixer(params, [head])
    scene, start = mixer.draw_scene(rng), 2 * params.sample_rate_hz
    excerpt = signal[start - response.shape[-1] + 1:start + params.sample_length]  # all that reaches into the sample

    def ours():
        return mixer.at_ears(scene, signal, start, range(37))

    def each(method):
        return lambda: np.stack([[method(excerpt, taps, "valid") for taps in ears] for ears in response])

    for method in (fftconvolve, oaconvolve):
        assert np.allclose(each(method)()[..., -params.sample_length:], ours(), atol=1e-2)
    rates = ratios.alternately({name: ratios.per_second(1, work) for name, work in (
        ("FFT of each", each(fftconvolve)), ("overlap-add", each(oaconvolve)), ("sound/mixing.py", ours))}, repetitions)
    return ratios.table("excerpts/s", rates, {"sound/mixing.py": ["FFT of each", "overlap-add"]}, 1)


def measure(repetitions, disk="."):
    """Measure everything here: markdown."""
    params = Params()
    with tempfile.TemporaryDirectory(dir=disk, prefix="benchmark-") as work:
        script = whole_script(Path(work), params, repetitions)
    return (f"{script}\n\nOne excerpt through the 37 x 2 responses of a room, {RESPONSE_S:g} s each:\n\n"
            f"{long_responses(params, repetitions)}")


def main(argv=None):
    """Measure and print."""
    args = ratios.parser(__doc__).parse_args(argv)
    print(measure(args.repetitions, args.disk))


if __name__ == "__main__":
    sys.exit(console.run(main))
