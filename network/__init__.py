"""From cues to azimuths: the networks, their training, read-out and uncertainty, the likelihood, recordings over time.

Imports console, params, features, hrir and scores; it knows nothing of sound and shards, and alone imports TensorFlow.
Begin with original.py, the CNN on one screen.
"""
from network.array_call import localise, localise_blocks

__all__ = ["localise", "localise_blocks"]
