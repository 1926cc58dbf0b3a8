"""Speed of SpatialiseTRAIN.py, beside the plain method and beside writing the same bytes, all in one run.

    python benchmarks/spatialise.py            # 4 speech x 2 noise files x 9 SNRs x 37 azimuths; several minutes
    python benchmarks/spatialise.py --quick    # the plain method on one SNR only

The plain method is that of the original scripts: for each mixture and azimuth resample the HRIRs, convolve, two librosa
STFTs, double precision, stacked onto one growing array. Makes its audio with tools/make_demo_audio.py.
"""
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
import hrir
from params import Params
from shards.audio import read_mono
from sound import mixing


def plain_method(speech_files, noise_files, snrs_db, params):
    """Spatialise and transform as the original does; returns the number of samples."""
    import librosa

    with np.load(hrir.FOLDER / "mit_kemar.npz") as stored:
        measured = stored["impulse_response"] / 2 ** 15
    everything = None
    combinations = [(s, n, snr_db) for s in speech_files for n in noise_files for snr_db in snrs_db]
    for speech_file, noise_file, snr_db in console.progress(combinations, desc="plain method"):
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


def run_spatialise(folder, out, *flags):
    """Run the script as a whole process; returns seconds and the peak memory in MB of the largest child so far."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, str(ROOT / "SpatialiseTRAIN.py"), "--speech", folder / "speech", "--noise",
                    folder / "noise", "--out", out, *flags], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def write_same_bytes(shards, out):
    """Write the bytes of shards again, file by file, through to the disk; returns seconds."""
    contents = [path.read_bytes() for path in shards]
    begin = time.perf_counter()
    for number, content in enumerate(contents):
        with open(out / f"{number}.bin", "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    return time.perf_counter() - begin


def long_responses(params, seconds=1.0):
    """Print how long one excerpt takes through a room's 37 x 2 responses, beside overlap-add and plain FFTs of each."""
    from scipy.signal import fftconvolve, oaconvolve

    rng = np.random.default_rng(0)
    response = rng.standard_normal((37, 2, int(seconds * params.sample_rate_hz))).astype(np.float32)
    signal = rng.standard_normal(4 * params.sample_rate_hz).astype(np.float32)
    head = hrir.load("mit_kemar", params.sample_rate_hz, params.azimuth_deg)._replace(response=response, rt60_s=seconds)
    mixer = mixing.Mixer(params, [head])
    scene, start = mixer.draw_scene(rng), 2 * params.sample_rate_hz
    excerpt = signal[start - response.shape[-1] + 1:start + params.sample_length]  # all that reaches into the sample

    def ours():
        return mixer.at_ears(scene, signal, start, range(37))

    def each(method):
        return lambda: np.stack([[method(excerpt, taps, "valid") for taps in ears] for ears in response])

    times = {}
    for name, run in (("ours", ours), ("overlap-add", each(oaconvolve)), ("FFT of each", each(fftconvolve))):
        result = run()
        begin = time.perf_counter()
        for _ in range(5):
            run()
        times[name] = (time.perf_counter() - begin) / 5
        if name != "ours":
            assert np.allclose(result[..., -params.sample_length:], ours(), atol=1e-2)
    print(f"one excerpt through 37 x 2 responses of {seconds:g} s: {1e3 * times['ours']:.0f} ms; "
          + "; ".join(f"{name} {1e3 * times[name]:.0f} ms, ratio {times[name] / times['ours']:.1f}"
                      for name in ("overlap-add", "FFT of each")))


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    parser.add_argument("--quick", action="store_true", help="the plain method on one SNR only")
    parser.add_argument("--disk", metavar="DIR", default=".", help="a folder on the disk to measure on (default: here)")
    return parser.parse_args(argv)


def main(argv=None):
    """Measure and print."""
    args = parse_args(argv)
    params = Params()
    with tempfile.TemporaryDirectory(dir=args.disk, prefix="benchmark-") as work:
        work = Path(work)
        subprocess.run([sys.executable, str(ROOT / "tools" / "make_demo_audio.py"), "--root", work], check=True,
                       stdout=subprocess.DEVNULL)
        files = {"speech": sorted((work / "SpeechTRAIN").glob("*.wav")),
                 "noise": sorted((work / "NoiseTRAIN").glob("*.wav"))}
        for name, count in (("once", 4), ("four times", 16)):
            for kind, many in (("speech", count), ("noise", 2)):
                (work / name / kind).mkdir(parents=True)
                for file in files[kind][:many]:
                    (work / name / kind / file.name).write_bytes(file.read_bytes())
        for file in files["speech"][:4] + files["noise"][:2]:
            read_mono(file, params)  # into the page cache

        measured = {}
        for name in ("once", "four times"):
            out, again = work / f"out {name}", work / f"again {name}"
            again.mkdir()
            seconds, memory_mb = run_spatialise(work / name, out)
            samples = len(params.snr_db) * 37 * len(list(out.glob("*.npz")))
            writing = write_same_bytes(sorted(out.glob("*.npz")), again)
            measured[name] = (samples, seconds, memory_mb, writing)
            print(f"SpatialiseTRAIN.py, {samples:6d} samples: {seconds:6.2f} s, {samples / seconds:6.0f} samples/s, "
                  f"peak {memory_mb:.0f} MB; writing the same bytes {writing:.2f} s, ratio {seconds / writing:.2f}",
                  flush=True)
        samples, seconds, _, _ = measured["once"]
        snrs_db = params.snr_db[:1] if args.quick else params.snr_db
        begin = time.perf_counter()
        plain_samples = plain_method(files["speech"][:4], files["noise"][:2], snrs_db, params)
        plain_seconds = time.perf_counter() - begin
        print(f"plain method,       {plain_samples:6d} samples: {plain_seconds:6.1f} s, "
              f"{plain_samples / plain_seconds:6.1f} samples/s")
        print(f"ratio of samples per second: {samples / seconds / (plain_samples / plain_seconds):.0f}"
              + (" (the plain method slows down further with more samples)" if args.quick else ""), flush=True)
        long_responses(params)


if __name__ == "__main__":
    sys.exit(console.run(main))
