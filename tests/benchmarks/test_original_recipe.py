"""The original recipe of the benchmarks: its excerpts do not move."""
from helpers import PARAMS

from benchmarks.original import FIRST_FRAME, FixedExcerpts
from shards.audio import find_audio


def test_excerpts_begin_at_one_frame_of_every_file(demo):
    audio = FixedExcerpts(PARAMS)
    for folder, clip_of in (("SpeechTRAIN", audio.speech), ("NoiseTRAIN", audio.noise)):
        for file in find_audio(demo / folder, "--audio", PARAMS.excerpt_length, PARAMS)[0][:3]:
            starts = clip_of(file).starts + PARAMS.lead_in_samples
            assert starts.tolist() == [FIRST_FRAME * PARAMS.stft_hop_samples]
