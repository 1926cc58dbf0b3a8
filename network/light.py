"""Answer without TensorFlow: the network as an ONNX graph (graph.py), which ONNX Runtime computes.

    network = LightNetwork.load("pretrained/best.onnx")
    network.azimuth_deg(samples)                      # (n, 321, 50, 2) -> (n,), as of model.Network

tools/export.py writes such a file of a trained model.
"""
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from console import BadInput
from network.answers import Listener
from network.cells import template_vectors
from network.files import GREATEST_BYTES, described
from network.segments import STEP_FRAMES, outputs_of, scores_of_rows, segments_in_use

DESCRIPTION = "binsl"           # key of the metadata that holds what files.description_of gives, as JSON
SEALED = "sealed"               # key of that JSON: the file ends with its digest
DIGEST = b"binsl_sha256"        # key of the metadata that `sealed` adds
AT_ONCE_FRAMES = 3200           # of all samples together
ROWS_AT_ONCE = 64               # of a recording: fewer share less of what overlaps, more leave the processor's caches
ERRORS_ALONE = 3                # of what ONNX Runtime logs: it would warn that templates may be given
MOST_THREADS = 4                # each computes a part of the rows by itself; the graph is too small to be divided


class LightNetwork(Listener):
    """Answer as model.Network does, by an exported file; nothing can be trained."""

    has_templates = True

    def __init__(self, session, params, made_with, calibration):
        """Take an onnxruntime.InferenceSession of such a graph, and what its file says of the network."""
        self.params, self.made_with, self.calibration = params, made_with, calibration
        self._session, self._head = session, {}

    @classmethod
    def load(cls, path):
        """Read a file of tools/export.py.

        Raises BadInput without ONNX Runtime, and for a file that is missing, torn, foreign, or of other features than
        this code's.
        """
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # from 1.29 on it would report each model to its maker
        try:
            import onnxruntime
        except ImportError as problem:
            raise BadInput(f"{path} needs the package onnxruntime ({problem}); install it with pip install -r "
                           "requirements-localise.txt, or name a .keras file.") from problem
        if not Path(path).is_file():
            raise BadInput(f"{path} does not exist; make it of a trained model with tools/export.py.")
        onnxruntime.disable_telemetry_events()  # on Windows, where the variable is not read
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = ERRORS_ALONE, 1
        try:
            content, is_sealed = _read(path)
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            stored = json.loads(session.get_modelmeta().custom_metadata_map[DESCRIPTION])
            network = cls(session, *described(stored, path))
            if stored.get(SEALED) and not is_sealed:
                raise ValueError("its digest is missing")
            network.azimuth_deg(np.zeros((1, *network.params.sample_shape), np.float16))  # a foreign graph cannot
            return network
        except BadInput:
            raise
        except Exception as problem:  # a torn or foreign file fails in ONNX Runtime, json or Params in many ways
            raise BadInput(f"{path} is not a whole model of this project; make it again with tools/export.py.") \
                from problem

    def compare_with(self, template_cues):
        """Compare with the cues (class, bin, 2) of another head from now on, as likelihood.template_cues gives them."""
        self._head = {"templates": template_vectors(template_cues[np.newaxis])[0].astype(np.float32)}

    def outputs(self, samples):
        """Compute the Outputs for any number of samples (n, bin, frame, 2), some at a time."""
        frames = samples.shape[2]
        steps, segments = frames // STEP_FRAMES, np.array(segments_in_use(frames, self.params))

        def scores_of(some):
            joined = some[:, :, :steps * STEP_FRAMES].transpose(1, 0, 2, 3).reshape(some.shape[1], -1, 2)
            bounds = np.arange(len(some))[:, np.newaxis, np.newaxis] * steps + segments       # none crosses a seam
            *scores, likelihoods = (each.reshape(len(some), len(segments), -1) for each in self.scores(joined, bounds))
            return [*scores, likelihoods[:, 0]]

        return self._outputs_of_parts(scores_of, samples, max(1, AT_ONCE_FRAMES // frames), frames)

    def outputs_of_rows(self, cues, starts, frames):
        """Compute the Outputs of windows of a recording, as Listener says; what overlaps is computed once."""
        steps, segments = frames // STEP_FRAMES, segments_in_use(frames, self.params)
        return self._outputs_of_parts(lambda some: scores_of_rows(self.scores, cues, some, steps, segments), starts,
                                      ROWS_AT_ONCE, frames)

    def _outputs_of_parts(self, scores_of, values, size, frames):
        """Score parts of samples or rows, a thread each, and let the segments agree."""
        parts = [values[at:at + size] for at in range(0, len(values), size)]
        if len(parts) == 1:                        # a row of --live: to start a thread takes longer than the row
            scores = [scores_of(values)]
        else:
            with ThreadPoolExecutor(_threads()) as threads:
                scores = list(threads.map(scores_of, parts))
        return outputs_of([np.concatenate(each) for each in zip(*scores)], frames, self.params)

    def scores(self, cues, bounds):
        """Run the graph once.

        Parameters
        ----------
        cues : np.ndarray [shape=(bin, frame, 2)]
        bounds : np.ndarray [shape=(..., 2)], int: first step of each segment, and the one after its last

        Returns
        -------
        list of np.ndarray: scores (segment, class) of each output, last the mean log-likelihoods (segment, value)

        """
        return self._session.run(None, {"cues": np.ascontiguousarray(cues, np.float32),
                                        "segments": bounds.reshape(-1, 2).astype(np.int32), **self._head})


def sealed(content):
    """Add to the bytes of an ONNX file their SHA-256, as one more entry of its metadata: field 14 of ModelProto."""
    digest = hashlib.sha256(content).hexdigest().encode()
    entry = b"\x0a%c%b\x12%c%b" % (len(DIGEST), DIGEST, len(digest), digest)  # fields 1, key, and 2, value
    return content + b"\x72%c%b" % (len(entry), entry)


def _read(path):
    """Read a file: its bytes, and whether they end with their digest; ValueError where they end with another one."""
    if os.path.getsize(path) > GREATEST_BYTES:
        raise ValueError("it is larger than any network")
    content, length = Path(path).read_bytes(), len(sealed(b""))
    is_sealed = content == sealed(content[:-length])
    if DIGEST in content[-length:] and not is_sealed:
        raise ValueError("its digest is not that of its bytes")
    return content, is_sealed


def _threads():  # console.processors asks joblib, which answers alone do not need
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, MOST_THREADS)
