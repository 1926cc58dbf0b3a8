"""Run TrainingCNN.py as one of several workers, and keep its weights: train_worker.py WEIGHTS.npz FLAGS."""
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import console
import TrainingCNN
from network import training


def main():
    """Train, and write the weights of this process in the end."""
    target, *flags = sys.argv[1:]
    sys.argv[0] = "TrainingCNN.py"
    networks, evaluate = [], training.evaluate
    training.evaluate = lambda network, *given: networks.append(network) or evaluate(network, *given)
    status = console.run(lambda: TrainingCNN.main(flags))
    if not status:
        np.savez(target, *networks[-1].keras_model.get_weights())
    return status


if __name__ == "__main__":
    sys.exit(main())
