# %% [markdown]
# # One sound, step by step, from wav to answer
#
# A sound from the right reaches the right ear earlier and louder. A localiser turns these two differences into an
# azimuth. This tour does every step on one sentence, in plain NumPy first. Run it with `python tour.py` (under two
# minutes), or open it as a notebook in VS Code, Spyder or Jupyter (jupytext). Pictures and sounds also go to `tour/`.
#
# Azimuth is in degrees: 0 is the front, negative is left, positive is right. Each step ends with the file that does
# it for real. *For real: docs/conventions.md holds all conventions.*

# %%
import subprocess
import sys
from pathlib import Path

import librosa
import matplotlib.pyplot as plt
import numpy as np
import soundfile as sf

OUT, DEMO, IN_NOTEBOOK = Path("tour"), Path("demo"), "ipykernel" in sys.modules
OUT.mkdir(exist_ok=True)


def finish(name):
    """Keep the current figure as tour/NAME.png; a notebook shows it, too."""
    plt.tight_layout()
    plt.savefig(OUT / f"{name}.png", dpi=80)
    print(f"picture: {OUT / name}.png")
    if not IN_NOTEBOOK:
        plt.close()


def listen(name, ears):
    """Keep ear signals (2, n) as tour/NAME.wav; a notebook plays them, too. Use headphones."""
    sf.write(OUT / f"{name}.wav", (0.5 * ears / np.abs(ears).max()).T, 16_000)
    print(f"sound: {OUT / name}.wav")
    if IN_NOTEBOOK:
        from IPython.display import Audio, display
        display(Audio(str(OUT / f"{name}.wav")))


# %% [markdown]
# ## 1. A sentence
#
# The demo talkers are synthetic (eSpeak NG). All sound is resampled to 16 kHz, so we see frequencies up to 8 kHz.
# Speech localises well because it is broad-band. *For real: shards/audio.py reads audio files.*

# %%
if not (DEMO / "SpeechTRAIN").is_dir():
    subprocess.run([sys.executable, "tools/make_demo_audio.py", "--root", str(DEMO)], check=True)
RATE = 16_000
talkers = [librosa.load(path, sr=RATE)[0] for path in sorted((DEMO / "SpeechTRAIN").glob("*.wav"))[:4]]
babble, _ = librosa.load(DEMO / "NoiseTEST" / "demo_babble.wav", sr=RATE)
speech = talkers[0][:2 * RATE]
print(f"{len(speech) / RATE:.1f} s of speech, {len(speech)} samples")

# %% [markdown]
# ## 2. Two ears
#
# A head-related impulse response (HRIR) is what a click from one azimuth sounds like at one ear. Any sound is a sum
# of clicks, so convolution with the two HRIRs puts it at that azimuth. Ours were measured on the dummy head KEMAR.
# From 45 degrees on the right, the right ear gets the sound first and louder. *For real: hrir.py loads heads,
# sound/convolution.py convolves.*

# %%
import hrir

AZIMUTHS = range(-90, 91, 5)
head = hrir.load("mit_kemar", RATE, AZIMUTHS)                                # head.response: (azimuth, ear, tap)
left_hrir, right_hrir = head.response[AZIMUTHS.index(45)]
ears = np.stack([np.convolve(speech, left_hrir), np.convolve(speech, right_hrir)])           # (ear, n)
listen("speech_at_45_degrees", ears)
plt.figure(figsize=(8, 2.6))
plt.plot(1e3 * np.arange(len(left_hrir)) / RATE, left_hrir, label="left ear")
plt.plot(1e3 * np.arange(len(left_hrir)) / RATE, right_hrir, label="right ear")
plt.gca().set(xlabel="time (ms)", ylabel="HRIR", title="A click from 45 degrees on the right", xlim=(1, 6))
plt.legend()
finish("1_hrirs")

# %% [markdown]
# ## 3. Noise at 0 dB
#
# The signal-to-noise ratio (SNR) is a ratio of powers: SNR = 10 log10(speech power / noise power). We solve it for
# the gain of the noise. This noise is the same at both ears (diotic), which is simplest; real noise comes from all
# around. *For real: `samples_of_pair` in shards/recipe.py is the whole recipe, sound/noise_fields.py holds noise and
# gain.*

# %%
SNR_DB = 0
noise = np.stack([babble[:ears.shape[1]]] * 2)
gain = np.sqrt(np.mean(ears ** 2) / np.mean(noise ** 2) / 10 ** (SNR_DB / 10))
noisy = ears + gain * noise
measured_db = 10 * np.log10(np.mean(ears ** 2) / np.mean((gain * noise) ** 2))
assert abs(measured_db - SNR_DB) < 1e-4
listen("speech_in_noise_at_0_dB", noisy)

# %% [markdown]
# ## 4. Interaural cues
#
# The short-time Fourier transform (STFT) cuts a signal into frames of 40 ms, and each frame into 321 frequencies. In
# each of these bins we compare the two ears. The interaural phase difference (IPD) holds the delay. The interaural
# level difference (ILD) holds the shadow of the head: the far ear gets less.
#
# Above about 700 Hz the delay can exceed half a period. Then the phase wraps: it leaves at +pi and comes back at -pi,
# as the stripes of the left picture show. So a high frequency alone cannot tell the delay, but many together can.
# *For real: features.py has these formulas, sound/kernels.py computes them fast.*

# %%
left, right = (librosa.stft(ear, n_fft=640, hop_length=320, window="hamming", center=False) for ear in ears)
ipd_rad = np.angle(right * np.conj(left))                                    # the angle of right / left
ild_db = 20 * np.log10(np.maximum(np.abs(right), 1e-10) / np.maximum(np.abs(left), 1e-10))
fig, axes = plt.subplots(1, 2, figsize=(11, 3.4))
for axis, cue, limit, label in zip(axes, (ipd_rad, ild_db), (np.pi, 30), ("IPD (rad)", "ILD (dB)")):
    mesh = librosa.display.specshow(cue, sr=RATE, hop_length=320, x_axis="time", y_axis="linear", ax=axis,
                                    cmap="twilight_shifted" if limit < 4 else "RdBu_r", vmin=-limit, vmax=limit)
    fig.colorbar(mesh, ax=axis, label=label)
axes[0].axhline(700, color="k", linestyle="--", linewidth=0.8)
axes[0].set_title("phase wraps above the line")
axes[1].set_title("louder on the right: positive")
finish("2_cues")

# %% [markdown]
# The formulas of features.py must give the same numbers. We compare where both ears hear something: in an empty bin
# the phase is chance. *For real: tests/sound/test_kernels.py holds the fast formulas equal, too.*

# %%
import features
from params import Params

cues = features.from_ears(ears.astype(np.float64), Params())                 # (frequency, frame, 2)
is_loud = (np.abs(left) > 1e-3) & (np.abs(right) > 1e-3)
assert np.allclose(np.exp(1j * cues[..., 0])[is_loud], np.exp(1j * ipd_rad)[is_loud], atol=1e-2)
assert np.allclose(cues[..., 1][is_loud], ild_db[is_loud], atol=0.05)

# %% [markdown]
# ## 5. The azimuth moves, and the cues move with it
#
# We hear the sentence from all 37 azimuths. At 250 Hz the phase follows the azimuth like a sine: it is the delay
# between the ears. At 4 kHz the head casts a shadow, so the level follows. A network has to learn these curves for
# every frequency. *For real: sound/mixing.py hears a sentence from every azimuth at once.*

# %%
swept = np.stack([[np.convolve(speech, ear) for ear in pair] for pair in head.response])     # (azimuth, ear, n)
cues = features.from_ears(swept, Params())                                   # (azimuth, frequency, frame, 2)
fig, (phase, level) = plt.subplots(1, 2, figsize=(11, 3))
phase.plot(AZIMUTHS, np.median(cues[:, 10, :, 0], axis=1), "o-")
phase.set(xlabel="azimuth (degrees)", ylabel="median IPD (rad)", title="250 Hz: delay")
level.plot(AZIMUTHS, np.median(cues[:, 155:165, :, 1], axis=(1, 2)), "o-", color="C1")
level.set(xlabel="azimuth (degrees)", ylabel="median ILD (dB)", title="4 kHz: shadow of the head")
finish("3_azimuth_swept")

# %% [markdown]
# ## 6. The network of the original
#
# One sample is 50 frames, about a second: an image of 321 x 50 with two channels, IPD and ILD. Four convolutions and
# four dense layers turn it into one number, the azimuth. *For real: network/original.py is this table,
# network/bands.py the default network.*

# %%
from network.model import Network

params = Params(model="original", loss="mse", snr_db=(20,), noise_field=("diotic",), batch_size=32)
network = Network(params)
network.keras_model.summary(line_length=90)

# %% [markdown]
# ## 7. A short training
#
# Each step shows the network some samples and their azimuths, and moves the weights so that the squared error falls.
# We use four talkers, one noise and one SNR. That is too little to learn from: the network soon knows these samples
# by heart. Real training has many talkers, noises and SNRs, and judges by talkers that it has not heard (validation).
# *For real: TrainingCNN.py, network/training.py and shards/feeds.py.*

# %%
from sound import excerpts, mixing
from sound.noise_fields import noise_gain

mixer = mixing.Mixer(params, [hrir.load("mit_kemar", RATE, mixing.directions_deg(params))])
rng, noise_clip, samples = np.random.default_rng(0), excerpts.noise_clip(babble, params), []
for talker in talkers * 2:
    at_ears = mixer.speech_at_ears(rng, excerpts.speech_clip(talker, params))
    noise_at_ears = mixer.noise_at_ears(rng, at_ears.scene, noise_clip)
    samples.append(np.empty((37, *params.sample_shape), np.float16))
    mixer.cues(at_ears, noise_at_ears, noise_gain(at_ears.front, noise_at_ears.signals, 20), out=samples[-1])
samples, labels = np.concatenate(samples), np.tile(params.azimuth_deg, len(samples))
losses = []
for epoch in range(8):
    batches = np.array_split(rng.permutation(len(labels)), len(labels) // params.batch_size)
    losses.append(np.mean([network.train(samples[rows], labels[rows], 1e-3) for rows in batches]))
    print(f"epoch {epoch + 1}: squared error {losses[-1]:.0f} square degrees")
assert losses[-1] < losses[0]
plt.figure(figsize=(5, 2.8))
plt.semilogy(range(1, len(losses) + 1), losses, "o-")
plt.gca().set(xlabel="epoch", ylabel="squared error (deg²)", title=f"{len(labels)} samples")
finish("4_training")

# %% [markdown]
# ## 8. A distribution in place of one number
#
# The default network gives each of 37 azimuths a probability. It learns from soft labels, a Gaussian around the
# truth. The answer is the mean around the peak, so it can lie between the 37. *For real: network/readout.py, and
# network/uncertainty.py says how sure an answer is.*

# %%
from network.readout import read_out, soft_labels

label = soft_labels([12.0], Params())                                        # (1, 37)
answer_deg, _ = read_out(label, Params())
assert abs(answer_deg[0] - 12) < 0.1
plt.figure(figsize=(8, 2.6))
plt.bar(AZIMUTHS, label[0], width=4)
plt.axvline(answer_deg[0], color="C3", label=f"read out: {answer_deg[0]:.1f} degrees")
plt.gca().set(xlabel="azimuth (degrees)", ylabel="probability", title="The soft label of 12 degrees")
plt.legend()
finish("5_soft_label")

# %% [markdown]
# ## 9. The model that ships
#
# Two sentences make a recording: one from 30 degrees left, then one from 45 degrees right, with a little noise. The
# model that ships answers ten times a second, each time for the second around. *For real: Localise.py does this for
# files, network/tracking.py for arrays.*

# %%
from network import localise

parts = [np.stack([np.convolve(talker[:3 * RATE], ear) for ear in head.response[AZIMUTHS.index(azimuth)]])
         for talker, azimuth in zip(talkers[1:], (-30, 45))]
recording = np.concatenate(parts, axis=1)
recording += 0.01 * np.sqrt(np.mean(recording ** 2)) * rng.standard_normal(recording.shape)
listen("recording", recording)
track = localise(recording, RATE)
plt.figure(figsize=(8, 2.8))
plt.errorbar(track.time_s, track.azimuth_deg, yerr=track.half_width_68_deg, fmt=".", capsize=2)
plt.gca().set(xlabel="time (s)", ylabel="azimuth (degrees)", ylim=(-90, 90), title="azimuth and its 68 % half-width")
finish("6_recording")
middle_s = parts[0].shape[1] / RATE
first, second = (np.nanmedian(track.azimuth_deg[side]) for side in (track.time_s < middle_s, track.time_s > middle_s))
print(f"first {first:.0f} degrees (true -30), then {second:.0f} degrees (true 45)")
