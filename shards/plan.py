"""The plan of a shard, which the Spatialise scripts follow and the report of Testing.py listens to."""
from pathlib import Path
from typing import Protocol


class ShardPlan(Protocol):
    """Plan a shard: recipe.PairPlan that of a speech and a noise file, recordings.RecordingPlan that of a recording."""

    path: Path

    @property
    def names(self):
        """Give the names of the speech and the noise, as the shard stores them: two str."""

    def digests(self):
        """Describe the files that the shard is made of, to tell when they were replaced: dict of str."""

    def count(self, mixer):
        """Count the samples of the shard: int."""

    def samples(self, mixer, audio):
        """Make the samples: cues (n, bin, frame, 2) of one mixture after another, each with its files.BY_SAMPLE."""

    def ears(self, row, mixer, audio):
        """Make the ear signals (2, n) of the shard's sample `row`, to listen to."""
