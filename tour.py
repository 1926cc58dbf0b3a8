# %% [markdown]
# # One sound, step by step, from wav to answer
# A talker stands 45 degrees to your right, and one signal reaches each ear. This tour finds the 45 degrees in the two
# signals, with every formula written out. `python tour.py` runs it in under a minute on two cores, without a GPU. It
# is a notebook, too: VS Code and Spyder open it as it is, Jupyter needs the package jupytext. Pictures and sounds go to
# the folder `tour`; wear headphones. **For real:** `shards/audio.py` writes wavs, `scores/plots.py` draws.
#
# | word | meaning |
# |---|---|
# | azimuth | horizontal angle of the source: 0 is the front, **negative is left, positive is right** |
# | HRIR | head-related impulse response: what an ear receives when a click comes from one direction |
# | ITD | interaural time difference: how much earlier the sound reaches the right ear |
# | IPD | interaural phase difference, angle(right / left) in radians: the effect of the ITD at one frequency |
# | ILD | interaural level difference, 20 log10(abs(right / left)) in dB: how much louder the right ear hears it |
# %%
import console

if "get_ipython" not in globals():                                    # no notebook
    console.begin_without_flags("The tour, from wav to answer, in under a minute. Read it: it explains itself.")

import subprocess
import sys
from pathlib import Path

import librosa
import matplotlib.pyplot as plt
import numpy as np

import features
import hrir
from network import localise
from network.model import Network
from network.readout import read_out, soft_labels
from params import Params
from shards.audio import AudioCache, find_audio, write_wav
from shards.recipe import PairPlan, samples_of_pair
from sound.mixing import Mixer

OUT, RATE_HZ, IN_NOTEBOOK = Path("tour"), 16_000, "get_ipython" in globals()
def listen(signal, name):
    write_wav(OUT / f"{name}.wav", signal / np.abs(signal).max(), RATE_HZ)
    if IN_NOTEBOOK:
        from IPython.display import Audio, display
        display(Audio(OUT / f"{name}.wav"))
def show(name, **labels):
    plt.gca().set(**labels)
    for ax in plt.gcf().axes:
        if ax.get_legend_handles_labels()[0]:
            ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    plt.savefig(OUT / f"{name}.png", bbox_inches="tight", dpi=110)
    plt.show() if IN_NOTEBOOK else plt.close()

# %% [markdown]
# ## 1. A talker
# The demo speech is synthetic and made here; a file holds one talker. Read at 16 kHz, it reaches up to 8 kHz.
# **Simplified:** no file is checked. **For real:** `tools/make_demo_audio.py`, `shards/audio.py`.
# %%
subprocess.run([sys.executable, hrir.FOLDER.with_name("tools") / "make_demo_audio.py", "--root", OUT], check=True)
talkers = [librosa.load(path, sr=RATE_HZ, dtype=np.float64)[0] for path in sorted(OUT.glob("SpeechTEST/*.wav"))]
listen(talkers[0], "1_talker")

# %% [markdown]
# ## 2. The talker at your ears
# The head filters the sound on its way to each ear. The filter is linear, so its impulse response, the HRIR, describes
# it completely. MIT measured the HRIRs of KEMAR, a dummy head. Speech convolved with both is what its ears receive.
# In the picture, sound from +45 degrees reaches the right ear about half a millisecond earlier, and louder.
# **Simplified:** one head and no echoes. The project convolves all azimuths at once, by FFT.
# **For real:** `hrir.py`, `sound/convolution.py`; `sound/heads.py` and `sound/rooms.py` vary head and room.
# %%
head = hrir.load("mit_kemar", RATE_HZ, azimuth_deg=range(-90, 91, 5))
hrirs = dict(zip(head.azimuth_deg, head.response))                    # azimuth -> (ear, tap), left ear first
def at_ears(signal, azimuth_deg):
    return np.stack([np.convolve(signal, ear) for ear in hrirs[azimuth_deg]])
ears = at_ears(talkers[0], 45)
listen(ears, "2_at_45_degrees")
plt.plot(1000 * np.arange(head.response.shape[-1]) / RATE_HZ, hrirs[45].T, label=["left ear", "right ear"])
show("2_hrirs_of_45_degrees", xlabel="time (ms)", ylabel="amplitude", xlim=(2, 8))

# %% [markdown]
# ## 3. Noise
# Noise comes from everywhere: independent white noise from each of 37 azimuths, through the HRIRs of that azimuth. The
# signal-to-noise ratio (SNR) is 10 log10(speech power / noise power) in dB. The square root below is the gain of the
# noise: that formula, solved for it. At 0 dB speech and noise have the same power.
# **Simplified:** one gain for the whole file, and no noise from behind. The project sets the gain of each second. It
# takes the speech power from the front, so the noise keeps its level when the talker moves.
# **For real:** `sound/noise_fields.py`.
# %%
rng = np.random.default_rng(0)
def add_noise(ears, snr_db):
    noise = sum(at_ears(rng.standard_normal(ears.shape[-1]), azimuth) for azimuth in hrirs)[:, :ears.shape[-1]]
    return ears + np.sqrt(np.mean(ears ** 2) / np.mean(noise ** 2) * 10 ** (-snr_db / 10)) * noise
noisy = add_noise(ears, snr_db=0)
listen(noisy, "3_in_noise")

# %% [markdown]
# ## 4. Interaural cues
# The short-time Fourier transform (STFT) takes frames of 40 ms, one every 20 ms. It gives one complex number for each
# ear, frequency and frame. Right divided by left holds both cues: its angle is the IPD, its magnitude the ILD. The
# talker is on the right, so the ILD is positive (red), and so is the IPD below 1 kHz.
# **The phase wraps.** Half a millisecond is half a period at 1 kHz, where the IPD reaches +pi. Just above, it jumps to
# -pi: red turns blue, although the talker stays on the right. Dashed lines mark these jumps. One frequency alone leaves
# the azimuth ambiguous. Streaks are gaps in the speech. Noise hides the cues where it is stronger, here above 1 kHz.
# **For real:** `features.py`: the cell ends with the proof that both agree. `sound/kernels.py` does the same faster.
# %%
def cues_of(ears):
    left, right = librosa.stft(ears, n_fft=640, hop_length=320, window="hamming", center=False)
    ipd_rad = np.angle(right * np.conj(left))                         # the angle of right / left, never divided by 0
    return ipd_rad, 20 * np.log10(np.maximum(np.abs(right), 1e-10) / np.maximum(np.abs(left), 1e-10))
second = slice(1280, 1280 + 16_320)                                   # 50 frames, 1.02 s: one sample for the network
figure, axes = plt.subplots(2, 2, figsize=(9, 6.5), layout="constrained")
for row, signal, name in zip(axes, (ears, noisy), ("speech alone", "in noise, SNR 0 dB")):
    for ax, cue, limit, unit in zip(row, cues_of(signal[:, second]), (np.pi, 25), ("IPD (radians)", "ILD (dB)")):
        image = ax.pcolormesh(0.02 * np.arange(50), 25 * np.arange(321), cue, cmap="coolwarm", vmin=-limit, vmax=limit)
        figure.colorbar(image, ax=ax, label=unit)
        ax.set(title=name, xlabel="time (s)", ylabel="frequency (Hz)")
axes[0, 0].hlines([980, 3780, 6460], -0.01, 0.99, "k", "dashed")
show("4_cues")
sample, (ipd_rad, ild_db) = features.from_ears(noisy[:, second], Params()), cues_of(noisy[:, second])
assert np.allclose(np.exp(1j * sample[..., 0]), np.exp(1j * ipd_rad), atol=1e-4)    # on the circle: -pi is +pi
assert np.allclose(sample[..., 1], ild_db, atol=1e-3)
print("Equal to features.py, which gives (frequency, frame, cue):", sample.shape)

# %% [markdown]
# ## 5. The cues move with the azimuth
# A click holds all frequencies, so the spectra of the HRIRs give the cues of every azimuth without any speech. At
# 500 Hz the ITD is close to 0.765 ms x sin(azimuth). This is 3 a / c for a sphere of radius a = 8.75 cm, with the
# speed of sound c (Kuhn 1977). At 2 kHz the IPD wraps, and up to three azimuths share one value. The ILD is small at
# 500 Hz: the wave bends round the head. At 4 kHz the head casts a shadow. Near 90 degrees the ILD falls again: waves
# round both sides meet at the far ear. No single number tells the azimuth, so the network looks at all frequencies.
# **Simplified:** one head. **For real:** `network/likelihood.py` compares a sample with such curves, without learning.
# %%
left, right = np.moveaxis(np.fft.rfft(head.response, 640), 1, 0)      # (azimuth, bin); bin k is k x 25 Hz
ipd_rad, ild_db = np.angle(right * np.conj(left)), 20 * np.log10(np.abs(right) / np.abs(left))
itd_ms, sphere_ms = ipd_rad[:, 20] / np.pi, 0.765 * np.sin(np.deg2rad(head.azimuth_deg))     # 500 Hz: 2 pi is 2 ms
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
axes[0].plot(head.azimuth_deg, np.transpose([itd_ms, sphere_ms]), ".-", label=["KEMAR, 500 Hz", "sphere"])
axes[1].plot(head.azimuth_deg, ipd_rad[:, [20, 80]], ".-", label=["500 Hz", "2 kHz"])
axes[2].plot(head.azimuth_deg, ild_db[:, [20, 160]], ".-", label=["500 Hz", "4 kHz"])
for ax, unit in zip(axes, ("ITD (ms)", "IPD (radians)", "ILD (dB)")):
    ax.set(xlabel="azimuth (degrees)", ylabel=unit, xticks=range(-90, 91, 45))
show("5_cues_by_azimuth")

# %% [markdown]
# ## 6. The network, and a short training
# The CNN of the original project reads the sample like a picture with two channels. Four convolutions shrink it. Dense
# layers follow, and the last one gives one number: the azimuth in degrees. The recipe of a sample is steps 2 to 4 with
# random excerpts. Here it makes 37 azimuths for each of 20 talkers. The network learns from 16 talkers; the other four
# only check it. The loss is the squared error; the picture shows its root. It falls fast for the talkers of the
# training and slowly for the others: the network learns its 592 samples by heart.
# **Simplified:** ten epochs at one SNR and one learning rate. A real training sees 300,000 samples.
# **For real:** `network/original.py`, `shards/recipe.py`, `network/training.py`; `network/cnn.py` is the default.
# %%
network = Network(params := Params(model="original", loss="mse", snr_db=(20,), batch_size=32))
network.keras_model.summary()
speech_files, noise_files = (find_audio(OUT / folder, folder, 1, params)[0] for folder in ("SpeechTRAIN", "NoiseTRAIN"))
pairs = [PairPlan(file, noise_files[1], talkers=[], path=None) for file in speech_files]
mixer, audio = Mixer(params, [head]), AudioCache(params)
samples = np.concatenate([mixture.cues.copy() for pair in pairs for mixture in samples_of_pair(pair, mixer, audio)])
labels, count, losses = np.tile(params.azimuth_deg, len(pairs)), 16 * 37, []
for _ in range(10):
    batches = np.array_split(rng.permutation(count), count // params.batch_size)
    trained = np.mean([network.train(samples[batch], labels[batch], params.learning_rate) for batch in batches])
    losses.append((trained, np.mean((network.azimuth_deg(samples[count:]) - labels[count:]) ** 2)))
assert losses[-1][0] < losses[0][0]
plt.plot(range(1, 11), np.sqrt(losses), ".-", label=["16 talkers of the training", "4 other talkers"])
show("6_training", xlabel="epoch", ylabel="root of the loss (degrees)", xticks=range(1, 11), ylim=(0, None))

# %% [markdown]
# ## 7. A distribution instead of a number
# One number cannot tell that the network is unsure, so the default network gives each of 37 azimuths a probability.
# It learns from soft labels: a Gaussian around the true azimuth, with a standard deviation of 3 degrees. The answer is
# the mean near the peak. It may lie between two of the azimuths, as the 12 degrees here.
# **Simplified:** this distribution is a label; those of the network are broader.
# **For real:** `network/readout.py`, and `network/uncertainty.py` for how sure an answer is.
# %%
label = soft_labels([12.0], Params())
answer_deg = read_out(label, Params())[0][0]
plt.bar(Params().class_deg, label[0], width=4, label="soft label of 12 degrees")
plt.axvline(answer_deg, color="C3", label=f"read out: {answer_deg:.1f} degrees")
show("7_soft_label", xlabel="azimuth (degrees)", ylabel="probability", xlim=(-20, 45), xticks=range(-20, 46, 5))

# %% [markdown]
# ## 8. The answer
# The model that ships learnt from real speech with many heads, rooms and noises. One talker speaks at -30 degrees, then
# another at +45, in noise at an SNR of 0 dB. Each answer covers one second; a new one comes every 0.1 s.
# **Simplified:** a rendered recording of the head that the model knows best; people's heads are harder.
# **For real:** `network/tracking.py`, `Localise.py` for your recordings, `pretrained/MODEL_CARD.md` for its limits.
# %%
recording = add_noise(np.hstack([at_ears(talkers[1][:48_000], -30), at_ears(talkers[2][:48_000], 45)]), snr_db=0)
listen(recording, "8_recording")
track = localise(recording, RATE_HZ)
print("Azimuths, one every 0.5 s:", *track.azimuth_deg[::5].round())
plt.errorbar(track.time_s, track.azimuth_deg, track.half_width_68_deg, fmt=".", label="answer and 68 % half-width")
plt.hlines([-30, 45], [0, 3], [3, 6], "C3", "dashed", label="true azimuth")
show("8_track", xlabel="time (s)", ylabel="azimuth (degrees)", ylim=(-90, 90), yticks=range(-90, 91, 30))
