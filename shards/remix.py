"""Samples of shards as sound again, mixed as they were from the files they were made of. For reports.

    remixer = remix.Remixer(speech="SpeechTEST", noise="NoiseTEST")
    ears = remixer.ears(shard, row)      # (2, n), or BadInput that names what is missing

A shard stores everything but the audio; where that is missing or has changed, the sample cannot be played.
"""
from dataclasses import fields
from pathlib import Path

import hrir
from console import BadInput, sha256_of
from params import Params, from_stored
from shards.audio import Audio, AudioCache, find_audio
from shards.recipe import PairPlan, talkers_beside
from shards.recordings import Recording, RecordingPlan, Stretch
from sound import mixing


class Remixer:
    """Mix samples again, and keep what was loaded; the folders are those that the Spatialise script was given."""

    def __init__(self, speech, noise, labelled=None, hrir_sets=()):
        self._folders = {"speech": speech, "noise": noise, "recordings": labelled}
        self._hrir_sets, self._files, self._mixers = ("mit_kemar", *hrir_sets), {}, {}
        self._every = None  # usable speech files, looked up when a sample has another talker

    def ears(self, shard, row):
        """Make the ear signals (2, n) of a sample; BadInput names what is missing."""
        params = from_stored(shard.params, [field.name for field in fields(Params)
                                            if field.name in shard.params
                                            and field.name not in ("hrir_set", "hrir_weights")])
        mixer, audio = self._mixer(params, shard.params)
        if "stretches" in shard.params:
            plan = RecordingPlan(self._recording(shard), shard.noise and self._file("noise", shard.noise), None)
            _require_same(plan, shard)
            return plan.ears(row, mixer, audio)
        speech, noise = self._file("speech", shard.speech), self._file("noise", shard.noise)
        talkers = []
        if "talkers_sha256" in shard.params:
            if self._every is None:  # decodes the whole folder: once, not for every sample
                self._every, _ = find_audio(self._folders["speech"], "--speech", params.excerpt_length, params)
            talkers = talkers_beside(self._every, params)(speech)
        plan = PairPlan(speech, noise, talkers, None)
        _require_same(plan, shard)
        return plan.ears(row, mixer, audio)

    def _file(self, role, name):
        """Describe the audio file of a name within the folder of a role."""
        if (role, name) not in self._files:
            folder = self._folders[role]
            path = Path(folder or "") / name
            if not folder or not path.is_file():
                where = f"is not in --{role} {folder}" if folder else f"needs --{role}"
                raise BadInput(f"{name} {where}, so it cannot be played.")
            self._files[role, name] = Audio(path, name, sha256_of(path), 1)
        return self._files[role, name]

    def _recording(self, shard):
        audio = self._file("recordings", shard.speech)
        stretches = tuple(Stretch(*stretch) for stretch in shard.params["stretches"])
        return Recording(audio.path, audio.name, audio.sha256, stretches)

    def _mixer(self, params, made_with):
        key = str(sorted((name, str(value)) for name, value in made_with.items()
                         if not name.endswith("_sha256") and name != "stretches"))
        if key not in self._mixers:
            sets = []
            shares = made_with.get("hrir_weights", [1.0] * len(made_with["hrir_set"]))
            for digest, name, share in zip(made_with["hrir_sha256"], made_with["hrir_set"], shares):
                known = (hrir.read(source, params.left_right, params.receivers) for source in self._hrir_sets)
                measured = next((each for each in known if each.sha256 == digest), None)
                if measured is None:
                    raise BadInput(f"the head {name} is not among --hrir, so it cannot be played.")
                sets.append((measured, share))
            offered = mixing.directions_of([measured for measured, _ in sets], params)
            heads = [hrir.at_azimuths(measured, params.sample_rate_hz, directions_deg,
                                      params.hrir_padding_samples)._replace(share=share)
                     for (measured, share), directions_deg in zip(sets, offered)]
            self._mixers[key] = mixing.Mixer(params, heads), AudioCache(params)
        return self._mixers[key]


def _require_same(plan, shard):
    for key, value in plan.digests().items():
        if shard.params.get(key) != value:
            raise BadInput(f"{shard.speech} or {shard.noise} has changed since, so it cannot be played.")
