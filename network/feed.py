"""Declare what the training loop takes its batches from."""
from typing import Protocol

from params import Params


class Feed(Protocol):
    """Give training and validation batches: shards.feeds.ShardFeed from shards, shards.on_the_fly.WavFeed from wavs.

    A batch is samples (n, bin, frame, 2) float16 and azimuths float32 in degrees, (n,) or (n, source): Network.train
    says what these hold. Where some samples are compared with their own head, it also holds templates (n, class, bin,
    2) float16, zeros for the others. `made_with` are the numbers that the samples were made with. `fingerprint` is a
    digest of the data, to refuse resuming on others. `title` names the data in messages. `epochs` of them show
    Params.samples_to_see.
    """

    params: Params
    made_with: dict
    fingerprint: str
    title: str
    epochs: int
    training_count: int
    validation_count: int

    def training(self, epoch):
        """Give the shuffled batches of one epoch, whose order follows from the seed and the epoch."""

    def validation(self, batch_size):
        """Give the batches of the validation samples, always the same."""
