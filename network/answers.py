"""Read answers out of a network's outputs: azimuths, how far they may err, whether there is a source, and where else.

    listener.hear(samples)                        # (n, bin, frame, 2) -> Hearing
    listener.hear_rows(cues, starts, frames)      # the same of windows of a recording, (bin, frame, 2)

Any runtime may compute the outputs: Keras (model.py) or one without TensorFlow (light.py).
"""
from typing import NamedTuple

import numpy as np

from network.readout import read_out
from network.uncertainty import band_disagreement_deg, error_predictors, uncalibrated_half_width

LEAST_PRESENCE = 1e-4    # and as much below 1, before a logarithm is taken


class Outputs(NamedTuple):
    """Hold what a network gives: `output` is probabilities (n, class), or degrees (n, 1) of one of squared error.

    `presence` (n, class) is the probability of a source at each azimuth, `log_likelihoods` (n, band, class) what the
    bands say by a head's templates, averaged over the sample; None of a network that has none.
    """

    output: np.ndarray
    presence: np.ndarray | None = None
    log_likelihoods: np.ndarray | None = None


class Reading(NamedTuple):
    """Azimuths and widths in degrees as readout.read_out gives them, two (n,), and error predictors (n, predictor).

    Azimuths are within -90..90, where the project's labels lie. A network of squared error has no widths (NaN) and no
    predictors.
    """

    azimuth_deg: np.ndarray
    width_deg: np.ndarray
    predictors: np.ndarray


class Answer(NamedTuple):
    """Azimuths and their 68 and 95 % half-widths, all in degrees: three (n,) float64."""

    azimuth_deg: np.ndarray
    half_width_68_deg: np.ndarray
    half_width_95_deg: np.ndarray


class Hearing(NamedTuple):
    """An Answer, what it was read from, and the log odds that there is a source rather than noise from all around.

    `distribution` (n, class), None of a network of squared error; `source_log_odds` (n,), NaN where it cannot tell;
    `presence` (n, class), the probability of a source at each azimuth, None of a network without that output.
    """

    answer: Answer
    distribution: np.ndarray | None
    source_log_odds: np.ndarray
    presence: np.ndarray | None = None


class Listener:
    """Answer by a network's outputs, whatever computes them; subclasses give `outputs` and `outputs_of_rows`.

    `params` are the network's Params, `made_with` the numbers its samples were made with, `calibration` the
    uncertainty.Calibration that training measured on its validation samples, None before.
    """

    params = made_with = calibration = None

    def outputs(self, samples):
        """Compute the Outputs of samples (n, bin, frame, 2)."""
        raise NotImplementedError

    def outputs_of_rows(self, cues, starts, frames):
        """Compute the Outputs of windows of `frames` in cues (bin, frame, 2), which begin at the frames `starts`."""
        return self.outputs(np.stack([cues[:, at:at + frames] for at in starts]))

    def reading_of(self, outputs):
        """Read out azimuths, widths and error predictors: Outputs -> Reading."""
        if self.params.loss != "distribution":
            azimuth_deg = np.clip(outputs.output[:, 0].astype(np.float64), self.params.class_deg[0],
                                  self.params.class_deg[-1])
            return Reading(azimuth_deg, np.full(len(azimuth_deg), np.nan), np.empty((len(azimuth_deg), 0)))
        azimuth_deg, width_deg = read_out(outputs.output, self.params)
        more = {}
        if outputs.log_likelihoods is not None:
            contrast = np.sqrt(np.square(outputs.log_likelihoods.mean(axis=1)).mean(axis=1))
            presence = np.clip(outputs.presence.max(axis=1).astype(np.float64), LEAST_PRESENCE, 1 - LEAST_PRESENCE)
            more = {"disagreement_deg": band_disagreement_deg(azimuth_deg, outputs.log_likelihoods, self.params),
                    "contrast": contrast, "presence_log_odds": np.log(presence / (1 - presence))}
        return Reading(azimuth_deg, width_deg, error_predictors(azimuth_deg, width_deg, outputs.output, **more))

    def answer_of(self, outputs):
        """Read out azimuths and their half-widths: Outputs -> Answer."""
        return self._answer_of(self.reading_of(outputs))

    def answer(self, samples):
        """Localise samples (n, bin, frame, 2): azimuths and their half-widths as an Answer."""
        return self.answer_of(self.outputs(samples))

    def azimuth_deg(self, samples):
        """Localise samples (n, bin, frame, 2): azimuths in degrees, (n,) float64."""
        return self.answer(samples).azimuth_deg

    def hear(self, samples):
        """Localise samples (n, bin, frame, 2), and tell whether each has a source: a Hearing."""
        return self._hearing_of(self.outputs(samples))

    def hear_rows(self, cues, starts, frames):
        """Do the same for windows of a recording: cues (bin, frame, 2), from the frames `starts` on, `frames` long."""
        return self._hearing_of(self.outputs_of_rows(cues, starts, frames))

    def _answer_of(self, reading):
        # Before training has measured its errors, the 68 % half-width is what the width adds to that of soft labels.
        if self.calibration:
            return Answer(reading.azimuth_deg, *self.calibration.half_widths(reading.predictors))
        half_width_deg = uncalibrated_half_width(reading.width_deg, self.params)
        return Answer(reading.azimuth_deg, half_width_deg, 2 * half_width_deg)

    def _hearing_of(self, outputs):
        reading = self.reading_of(outputs)
        if self.params.loss != "distribution":
            return Hearing(self._answer_of(reading), None, np.full(len(reading.azimuth_deg), np.nan))
        log_odds = (self.calibration.source_log_odds(reading.predictors) if self.calibration else
                    np.full(len(reading.azimuth_deg), np.nan))
        return Hearing(self._answer_of(reading), outputs.output, log_odds, outputs.presence)
