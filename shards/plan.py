"""The plan of a shard, as the run of the Spatialise scripts and the report of Testing.py use it."""
from pathlib import Path
from typing import Protocol


class ShardPlan(Protocol):
    """A shard to make: recipe.PairPlan of a speech and a noise file, or recordings.RecordingPlan of a recording."""

    path: Path

    @property
    def names(self):
        """Names of the speech and the noise, as the shard stores them: two str."""

    def digests(self):
        """Describe the files that the shard is made of, to tell when they were replaced: dict of str."""

    def count(self, params):
        """Count the samples of the shard: int."""

    def samples(self, mixer, audio):
        """Make the samples: cues (n, bin, frame, 2) of one mixture after another, each with its files.BY_SAMPLE."""

    def ears(self, row, mixer, audio):
        """Make the ear signals (2, n) of the shard's sample `row`, to listen to."""
