"""Train a network: epochs, learning-rate schedule, early stopping, checkpoints, resuming."""
import csv
import math
import time

import numpy as np

import console
from console import BadInput
from network import likelihood
from network.devices import Devices, digest_of
from network.model import Network
from params import differences
from scores import metrics, plots

VALIDATION_BATCH = 256
WARM_UP_SHARE = 0.02  # of all steps: Adam's first estimates of the gradient's scale are poor


def learning_rate_at(progress, params):
    """Compute the learning rate after a share `progress` (0..1) of all steps: linear warm-up, then half a cosine."""
    if progress < WARM_UP_SHARE:
        return params.learning_rate * (progress / WARM_UP_SHARE + 0.01)
    return params.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP_SHARE) / (1 - WARM_UP_SHARE)))


def patience_for(epochs, params):
    """Count the epochs without a better validation loss that end the training."""
    return max(params.patience_min, round(params.patience_share * epochs))


def fit(feed, epochs, out, resume, origins=(), devices=None):
    """Train a network, and keep best.keras, last.keras, history.csv and history.png in `out` after every epoch.

    Resuming reads last.keras: the weights, the optimiser's variables and the history, from which best score and
    patience follow. It is written whole, so a run killed at any moment goes on from the last finished epoch.

    Of several workers the chief writes the files. All share `out`, and have the same history and weights.

    Parameters
    ----------
    feed : feed.Feed, batches of samples with their Params; of several workers, this one's share of them
    epochs : int, to have in the end
    out : Path, an existing folder
    resume : bool, go on with out/last.keras if it is there
    origins : paths of models: begin with their weights, averaged, instead of random ones
    devices : devices.Devices, optional: those that train, by default all of this machine

    Returns
    -------
    list of dict, the history: one row an epoch

    Raises
    ------
    BadInput : out/last.keras was trained with other parameters or data, or cannot be read; one of `origins` is of
        another kind; the disk refuses; or another worker differs or ends

    """
    devices = devices or Devices()
    with devices.scope():
        return _fit(feed, epochs, out, resume, origins, devices)


def _fit(feed, epochs, out, resume, origins, devices):
    params, last = feed.params, out / "last.keras"
    if min(params.batch_size, feed.training_count, feed.validation_count) < devices.least_batch:
        raise BadInput(f"All devices together need batches, training and validation of {devices.least_batch} samples "
                       "or more; give a greater --batch-size, more data, or fewer devices.")
    wanted = params.training | {"precision": params.precision, "data": feed.fingerprint}
    devices.require_same(wanted | {"epochs": epochs, "devices": devices.local,
                                   "last.keras": console.sha256_of(last)[:16] if resume else "none"})
    if resume:
        network = Network.load(last, with_state=True)
        made_with = network.params.training | {"precision": network.params.precision, "data": network.state["data"]}
        if differ := differences(made_with, wanted):
            raise BadInput(f"{last} cannot be resumed because it was trained otherwise ({differ}); give the same flags "
                           "and data, or another --out.")
        history = network.state["history"]
    else:
        network, history = Network(params, feed.made_with, likelihood.template_cues(params)), []
        if origins:
            network.begin_with([Network.load(origin) for origin in origins])
    devices.require_same({"first weights": digest_of(network)})
    if history and devices.worker.is_chief:
        _write_history(history, out)

    for epoch in range(len(history) + 1, epochs + 1):
        if _epochs_since_best(history) >= patience_for(epochs, params):
            print(f"Stopped early: no better validation loss for {_epochs_since_best(history)} epochs.")
            break
        begin = time.monotonic()
        loss = _train_epoch(network, feed, epoch, epochs, devices)
        seconds = time.monotonic() - begin
        _require_finite(loss, epoch, params)
        validation_loss, within_5_deg_percent = evaluate(network, feed, devices)
        _require_finite(validation_loss, epoch, params)
        history.append({"epoch": epoch, "loss": loss, "validation_loss": validation_loss,
                        "validation_within_5_deg_percent": within_5_deg_percent,
                        "learning_rate": learning_rate_at((epoch - 1) / epochs, params),
                        "samples_per_s": feed.training_count / seconds,
                        "seconds": time.monotonic() - begin})
        if devices.worker.is_chief:
            if _epochs_since_best(history) == 0:
                network.save(out / "best.keras")
            network.save(last, {"history": history, "data": feed.fingerprint})
            _write_history(history, out)
        print(_line(history, epochs), flush=True)
    return history


def _require_finite(loss, epoch, params):
    if not math.isfinite(loss):
        raise BadInput(f"The loss is no longer finite in epoch {epoch}; start again with a smaller --learning-rate "
                       f"than {params.learning_rate:g}.")


def _train_epoch(network, feed, epoch, epochs, devices):
    """Train on every batch once, in an order that follows from seed and epoch; returns the mean loss.

    A last batch that is too small for all devices is left out.
    """
    network.begin_epoch(epoch)
    params = feed.params
    steps = math.ceil(feed.training_count / params.batch_size)
    losses = []
    with console.progress(total=feed.training_count, unit=" samples", desc=f"epoch {epoch}/{epochs}") as bar:
        for step, (samples, azimuth_deg, *templates) in enumerate(feed.training(epoch)):
            count = min(params.batch_size, feed.training_count - step * params.batch_size)  # of all workers
            if count < devices.least_batch:
                continue
            rate = learning_rate_at((epoch - 1 + step / steps) / epochs, params)
            losses.append(network.train(samples, azimuth_deg, rate, *templates, of=count))
            if step % 10 == 9:  # reading a loss waits for the step
                bar.set_postfix(loss=f"{devices.worker.count * float(losses[-1]):.3g}", refresh=False)  # of its share
            bar.update(count)
    of_workers = devices.gather(np.array([[float(loss) for loss in losses]]))  # parts of the losses: (worker, step)
    return float(of_workers.sum(axis=0).mean())


def evaluate(network, feed, devices):
    """Return mean loss and percent within 5 degrees over a feed's validation samples, and calibrate on them.

    Samples of several sources, or of noise alone, count for the loss; of these, noise also for the calibration. Each
    worker answers its share, and all work on with the answers of all.
    """
    loss, readings = 0.0, []
    with console.progress(total=feed.validation_count, unit=" samples", desc="validation") as bar:
        for samples, azimuth_deg, *templates in feed.validation(VALIDATION_BATCH):
            if not len(samples):  # this worker's share of a small batch
                continue
            outputs = network.outputs(samples, *templates)
            loss += network.loss_of(outputs, azimuth_deg)
            reading = network.reading_of(outputs)
            readings.append((reading.azimuth_deg, reading.predictors, *_loudest(azimuth_deg)))
            bar.update(min(VALIDATION_BATCH, feed.validation_count - bar.n))
    loss = float(devices.gather(np.array([loss])).sum())
    answer_deg, predictors, azimuth_deg, sources = (devices.gather(np.concatenate(each)) for each in zip(*readings))
    has_one = sources == 1
    error_deg = np.abs(answer_deg - azimuth_deg)[has_one]
    if math.isfinite(loss):  # `fit` ends where it is not
        network.calibrate(predictors[has_one], error_deg, predictors[sources == 0])
    correct = metrics.correct(answer_deg[has_one], azimuth_deg[has_one], feed.params.tolerance_deg)
    return loss / len(sources), float(100 * correct.mean())


def _loudest(azimuth_deg):
    """Give the azimuths of the loudest sources (n,), and how many there are (n,), -1 of unknown: see Network.train."""
    every = azimuth_deg[:, np.newaxis] if azimuth_deg.ndim == 1 else azimuth_deg
    sources = np.isfinite(every).sum(axis=1)
    return every[:, 0], np.where((sources == 0) & np.isinf(every).any(axis=1), -1, sources)


def _epochs_since_best(history):
    losses = [row["validation_loss"] for row in history]
    return len(losses) - 1 - int(np.argmin(losses)) if losses else 0


def _write_history(history, out):
    with console.atomic_write(out / "history.csv") as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, history[0].keys())
        writer.writeheader()
        writer.writerows(history)
    plots.history(history, out / "history.png")


def _line(history, epochs):
    row = history[-1]
    seconds_left = (epochs - row["epoch"]) * float(np.median([r["seconds"] for r in history]))
    return (f"epoch {row['epoch']:3d}/{epochs}   loss {row['loss']:8.3f}   "
            f"validation loss {row['validation_loss']:8.3f}   "
            f"within 5 deg {row['validation_within_5_deg_percent']:5.1f} %   {row['samples_per_s']:5.0f} samples/s   "
            f"{seconds_left / 60:.1f} min left{'   best' if _epochs_since_best(history) == 0 else ''}")
