# %% [markdown]
# # One sound, step by step, from wav to answer
# A talker stands 45 degrees to your right. Two signals reach you, one at each ear. This tour finds the 45 degrees in
# them, with the formulas written out. It takes about a minute on two cores, without a GPU.
#
# Run it with `python tour.py`, or open it as a notebook: VS Code and Spyder take the file as it is, Jupyter needs the
# package jupytext. Either way its pictures and sounds are in the folder `tour` afterwards. Wear headphones.
#
# | word | meaning |
# |---|---|
# | azimuth | angle in the horizontal plane: 0 is the front, **negative is left, positive is right** |
# | HRIR | head-related impulse response: what an ear records when a click comes from one direction |
# | ITD | interaural time difference: how much earlier the right ear hears the sound |
# | IPD | interaural phase difference, angle(right / left) in radians: the ITD, seen at one frequency |
# | ILD | interaural level difference, 20 log10(\|right\| / \|left\|) in dB: how much louder it is at the right ear |
#
# The first cell loads the libraries, and defines how the tour shows a picture and plays a sound. For real: `params.py`
# holds every number, such as the 16 kHz; `scores/plots.py` draws.

# %%
import subprocess
import sys
from pathlib import Path

import librosa
import matplotlib.pyplot as plt
import numpy as np

import features
import hrir
from params import Params
from shards.audio import write_wav

OUT, RATE_HZ = Path("tour"), 16_000
OUT.mkdir(exist_ok=True)
plt.rcParams.update({"figure.constrained_layout.use": True, "savefig.dpi": 110, "grid.alpha": 0.3})


def show(name):
    """Save the picture; a notebook also shows it."""
    plt.savefig(OUT / f"{name}.png")


def listen(signal, name):
    """Save a sound, (n,) or (2, n), as loud as a wav can hold; a notebook also plays it."""
    write_wav(OUT / f"{name}.wav", signal / np.abs(signal).max(), RATE_HZ)
    if "get_ipython" in globals():
        from IPython.display import Audio, display
        display(Audio(OUT / f"{name}.wav"))


# %% [markdown]
# ## 1. A talker
# The demo audio is synthetic speech, made here in two seconds. One file has one talker and one channel. librosa reads
# it and converts it to 16 kHz, so it holds frequencies up to 8 kHz.
#
# Simplified: this tour trusts the file. The scripts refuse files that are silent, too short or cut off.
# For real: `tools/make_demo_audio.py`, `shards/audio.py`.

# %%
tool = Path(hrir.__file__).with_name("tools") / "make_demo_audio.py"
subprocess.run([sys.executable, tool, "--root", OUT], check=True)
talkers = [librosa.load(path, sr=RATE_HZ, dtype=np.float64)[0] for path in sorted((OUT / "SpeechTEST").glob("*.wav"))]
speech = talkers[0]
print(f"{len(speech)} samples at {RATE_HZ} Hz are {len(speech) / RATE_HZ:.1f} s")
listen(speech, "1_talker")

# %% [markdown]
# ## 2. The talker at your ears
# A head filters sound. The path to each ear is linear, so its impulse response describes it whole: the HRIR. MIT
# measured those of a dummy head called KEMAR. Convolution with both gives the signals at the ears. In the picture the
# sound from +45 degrees reaches the right ear half a millisecond earlier. The left ear is in the shadow of the head.
#
# Simplified: one head in a room without echoes, and `numpy.convolve`. The project convolves all azimuths at once by FFT.
# For real: `hrir.py`, `sound/convolution.py`; other heads and rooms: `sound/heads.py`, `sound/rooms.py`.

# %%
head = hrir.load("mit_kemar", RATE_HZ, azimuth_deg=range(-90, 91, 5))
print("head.response has the shape (azimuth, ear, tap) =", head.response.shape)


def at_ears(signal, azimuth_deg):
    """Put a signal (n,) at the two ears, left first: (2, n + 257)."""
    left_hrir, right_hrir = head.response[list(head.azimuth_deg).index(azimuth_deg)]
    return np.stack([np.convolve(signal, left_hrir), np.convolve(signal, right_hrir)])


ears = at_ears(speech, 45)
listen(ears, "2_right_45")
listen(at_ears(speech, -45), "2_left_45")
plt.figure(figsize=(8, 3))
for response, ear in zip(head.response[list(head.azimuth_deg).index(45)], ("left ear", "right ear")):
    plt.plot(np.arange(len(response)) / RATE_HZ * 1000, response, label=ear)
plt.gca().set(xlabel="time (ms)", ylabel="amplitude", xlim=(2, 8), title="Impulse responses from +45 degrees")
plt.legend()
show("2_impulse_responses")

# %% [markdown]
# ## 3. Noise
# Here noise comes from everywhere: independent white noise from each of the 37 azimuths, each through its own HRIRs.
# The signal-to-noise ratio is 10 log10(speech power / noise power) in dB. Solved for the noise it gives a gain:
# sqrt(speech power / noise power x 10^(-SNR / 10)). At 0 dB both have the same power. The speech power is that from the
# front, so the noise stays equally loud while the talker moves.
#
# Simplified: one level for the whole file; the project sets it for each second. Sound from behind is left out.
# For real: `sound/noise_fields.py`.

# %%
rng = np.random.default_rng(0)


def diffuse_noise(length):
    """Sum white noise from all azimuths at the two ears: (2, length)."""
    return sum(at_ears(rng.standard_normal(length - 257), azimuth_deg) for azimuth_deg in head.azimuth_deg)


front, noise = at_ears(speech, 0), diffuse_noise(ears.shape[1])
gain = np.sqrt(np.mean(front ** 2) / np.mean(noise ** 2) * 10 ** (-0 / 10))     # SNR: 0 dB
noisy = ears + gain * noise
listen(noisy, "3_noisy")

# %% [markdown]
# ## 4. Interaural cues
# The short-time Fourier transform (STFT) cuts each ear's signal into frames of 40 ms, one every 20 ms. It gives a
# complex number for each frequency and frame. Its ratio between the ears holds both cues: the angle is the IPD, the
# magnitude the ILD. The talker is on the right, so both are mostly positive (red) at low frequencies.
#
# **The phase wraps.** A delay of 0.55 ms is half a period at 900 Hz: an IPD of +pi. A little higher the angle jumps
# to -pi, red to blue, though the talker stays right. The same jump recurs every 1800 Hz: those are the stripes.
# One frequency alone is therefore ambiguous. Noise blurs both cues wherever the speech is weak.
#
# Simplified: nothing. For real: `features.py`.

# %%
def cues_of(ears):
    """Compute the cues of two ear signals: IPD and ILD, each (321 frequencies, frame)."""
    left, right = librosa.stft(ears, n_fft=640, hop_length=320, window="hamming", center=False)
    ipd_rad = np.angle(right * np.conj(left))                    # the angle of right / left, without dividing by 0
    left, right = np.maximum(np.abs(left), 1e-10), np.maximum(np.abs(right), 1e-10)         # the log of 0 is infinite
    return ipd_rad, 20 * np.log10(right / left)


second = slice(16_000, 16_000 + 16_320)                          # 50 frames: one sample for the network, 1.02 s
figure, axes = plt.subplots(2, 2, figsize=(9, 6), sharex=True, sharey=True)
for row, (signal, name) in zip(axes, ((ears, "speech alone"), (noisy, "in noise, SNR 0 dB"))):
    for ax, cue, limit, label in zip(row, cues_of(signal[:, second]), (np.pi, 25), ("IPD (radians)", "ILD (dB)")):
        image = ax.imshow(cue, origin="lower", aspect="auto", cmap="coolwarm", vmin=-limit, vmax=limit,
                          extent=(0, 1.02, 0, 8), interpolation="nearest")
        ax.set_title(f"{label[:3]}, {name}")
        figure.colorbar(image, ax=ax, label=label)
for ax, text in ((axes[0, 0], "wrap"),):
    for wrap_khz in (0.9, 2.7, 4.5, 6.3):
        ax.annotate(text, (0.0, wrap_khz), (0.02, wrap_khz), fontsize=8)
figure.supxlabel("time (s)")
figure.supylabel("frequency (kHz)")
show("4_cues")

# %% [markdown]
# ## 5. The same as the project's
# The project computes the cues with one array, (frequency, frame, channel): channel 0 is the IPD, channel 1 the ILD.
# The check compares phases on the circle, where -pi and +pi are the same angle.
#
# For real: `features.py`, from which this cell imports; `sound/kernels.py` does the same faster, held equal by a test.

# %%
sample = features.from_ears(noisy[:, second], Params())
ipd_rad, ild_db = cues_of(noisy[:, second])
assert np.allclose(np.exp(1j * sample[..., 0]), np.exp(1j * ipd_rad), atol=1e-4)
assert np.allclose(sample[..., 1], ild_db, atol=1e-3)
print("features.from_ears agrees; the network's input has the shape", sample.shape)

# %% [markdown]
# ## 6. The cues move with the azimuth
# An impulse holds all frequencies, so the spectrum of the HRIRs shows the cues of every azimuth without any speech.
# At 500 Hz the wave is longer than the head, and the ITD grows like a sine: 3 a / c x sin(azimuth), a sphere of radius
# a = 8.75 cm (Kuhn 1977). At 2 kHz the IPD wraps, so up to three azimuths share one value.
# The ILD is small at 500 Hz, where the wave bends round the head. It is large at 4 kHz, where the head casts a shadow.
# It does not grow steadily: waves round both sides meet behind the head. No single number tells the azimuth, and that is
# why a network looks at all frequencies together.
#
# Simplified: one head; for others the curves differ. For real: `network/likelihood.py`, which localises by such curves.

# %%
azimuth_deg = head.azimuth_deg
left, right = np.moveaxis(np.fft.rfft(head.response, 640), 1, 0)                      # bin k is k x 25 Hz
ipd_rad, ild_db = np.angle(right * np.conj(left)), 20 * np.log10(np.abs(right) / np.abs(left))
itd_ms = 1000 * ipd_rad[:, 20] / (2 * np.pi * 500)
kuhn_ms = 1000 * 3 * 0.0875 / 343 * np.sin(np.deg2rad(azimuth_deg))
assert np.abs(itd_ms - kuhn_ms).max() < 0.05
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharex=True)
axes[0].plot(azimuth_deg, itd_ms, ".-", label="this head at 500 Hz")
axes[0].plot(azimuth_deg, kuhn_ms, "k--", label="sphere")
for hz in (500, 2000):
    axes[1].plot(azimuth_deg, ipd_rad[:, hz // 25], ".-", label=f"{hz} Hz")
for hz in (500, 4000):
    axes[2].plot(azimuth_deg, ild_db[:, hz // 25], ".-", label=f"{hz} Hz")
for ax, label in zip(axes, ("ITD (ms)", "IPD (radians)", "ILD (dB)")):
    ax.set(xlabel="azimuth (degrees; negative = left)", ylabel=label, xticks=range(-90, 91, 45))
    ax.grid(True)
    ax.legend()
show("6_cues_by_azimuth")

# %% [markdown]
# ## 7. The network
# The CNN of the original project reads the sample like a picture with two channels. Four convolutions shrink it, three
# dense layers follow, and the last one gives one number: the azimuth in degrees. It learns 2.4 million weights.
#
# For real: `network/original.py`, one screen; the default network, which knows the head, is `network/bands.py`.

# %%
from dataclasses import replace

from network.model import Network

params = replace(Params(), model="original", loss="mse", snr_db=(20,), batch_size=32)
network = Network(params)
network.keras_model.summary(line_length=90)
assert network.keras_model.count_params() == 2_417_793

# %% [markdown]
# ## 8. A short training
# The recipe of a sample is steps 2 to 4 with random excerpts. Here it makes 37 azimuths of 20 talkers at 20 dB. The
# network learns from 16 of them and never hears the other four. The loss is the squared error in degrees; its root is
# drawn. It falls fast for the talkers that were heard, and slowly for the others: so few samples are learnt by heart.
#
# Simplified: 592 samples, and ten epochs at one learning rate. A real training sees 300,000 samples.
# For real: `shards/recipe.py`, `network/training.py`.

# %%
from shards.audio import AudioCache, find_audio
from shards.recipe import PairPlan, samples_of_pair
from sound.mixing import Mixer

files = find_audio(OUT / "SpeechTRAIN", "--speech", params.excerpt_length, params)[0]
noise_file = find_audio(OUT / "NoiseTRAIN", "--noise", params.excerpt_length, params)[0][1]
mixer, audio = Mixer(params, [head]), AudioCache(params)
samples = np.concatenate([mixture.cues.copy() for file in files for mixture in
                          samples_of_pair(PairPlan(file, noise_file, [], None), mixer, audio)])
labels = np.tile(params.azimuth_deg, len(files))
heard = 16 * 37
print(f"{heard} samples to learn from, {len(samples) - heard} to check with, each of shape {samples.shape[1:]}")
losses, checks = [], []
for _ in range(10):
    batches = np.array_split(rng.permutation(heard), heard // params.batch_size)
    losses.append(np.mean([network.train(samples[batch], labels[batch], params.learning_rate) for batch in batches]))
    checks.append(np.mean((network.azimuth_deg(samples[heard:]) - labels[heard:]) ** 2))
assert losses[-1] < losses[0]
plt.figure(figsize=(7, 3.5))
for loss, name in ((losses, "16 talkers it learns from"), (checks, "4 talkers it never heard")):
    plt.plot(range(1, 11), np.sqrt(loss), ".-", label=name)
plt.gca().set(xlabel="epoch", ylabel="root of the loss (degrees)", xticks=range(1, 11), ylim=(0, None))
plt.grid(True)
plt.legend()
show("8_training")

# %% [markdown]
# ## 9. A distribution instead of a number
# One number cannot say "left or right, I am unsure". The default network therefore gives each of the 37 azimuths a
# probability. It learns from soft labels: a Gaussian of 3 degrees around the true azimuth. The answer is the mean
# close to the peak, so 12 degrees come back although the grid has only 10 and 15.
#
# Simplified: the distribution here is a label itself; a network's is wider. For real: `network/readout.py`; how the
# width becomes an uncertainty: `network/uncertainty.py`.

# %%
from network.readout import read_out, soft_labels

label = soft_labels([12.0], Params())
(answer_deg,), (width_deg,) = read_out(label, Params())
assert abs(answer_deg - 12) < 0.1
plt.figure(figsize=(7, 3.2))
plt.bar(Params().class_deg, label[0], width=4, label="soft label of 12 degrees")
plt.axvline(answer_deg, color="C3", label=f"read out: {answer_deg:.1f} degrees, width {width_deg:.1f}")
plt.gca().set(xlabel="azimuth (degrees)", ylabel="probability", xlim=(-30, 50))
plt.legend()
show("9_soft_label")

# %% [markdown]
# ## 10. The answer
# The model that ships learnt from 300 times as many scenes. Two new talkers speak: the first from -30 degrees, then
# another from +45, in noise at 10 dB. The model hears one second at a time and answers every 0.1 s.
#
# For real: `network/tracking.py`; `Localise.py` does it for your own recordings.

# %%
from network import localise

pause = np.zeros((2, RATE_HZ // 2))
recording = np.hstack([at_ears(talkers[1][:48_000], -30), pause, at_ears(talkers[2][:48_000], 45)])
noise = diffuse_noise(recording.shape[1])
recording += np.sqrt(np.mean(recording ** 2) / np.mean(noise ** 2) * 10 ** (-10 / 10)) * noise   # SNR: 10 dB
listen(recording, "10_recording")
track = localise(recording, RATE_HZ)
for row in range(0, len(track.time_s), 5):
    print(f"{track.time_s[row]:4.1f} s   {track.azimuth_deg[row]:6.1f} degrees   +- {track.half_width_68_deg[row]:.1f}")
