"""onnxruntime sessions of one thread.

One session of two threads is slower than two texts at once on one thread each, and a session may be run from several
threads: so there is one session, its weights are in memory once, and each of the worker's threads computes by itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from services.backend import Integers, ModelUnusable, Run

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def open_session(path: Path) -> ort.InferenceSession:
    """A session of one thread.

    Raises:
        ModelUnusable: the file is broken, or takes other inputs than token ids, mask and segments.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what fails is raised
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many kinds, none of them public
        raise ModelUnusable(f"{path} cannot be loaded: {str(error).splitlines()[0]}; fetch it again") from None
    if unknown := [each.name for each in session.get_inputs() if each.name not in INPUTS]:
        raise ModelUnusable(f"{path} has the input {unknown[0]!r}; known are {', '.join(INPUTS)}")
    return session


def runner(session: ort.InferenceSession) -> Run:
    """The session as the worker calls it; inputs that the graph does not have are left out."""
    wanted = {each.name for each in session.get_inputs()}
    positions = [(i, name) for i, name in enumerate(INPUTS) if name in wanted]
    outputs = [session.get_outputs()[0].name]

    def run(*arrays: Integers) -> NDArray[np.float32]:
        result: NDArray[np.float32] = session.run(outputs, {name: arrays[i] for i, name in positions})[0]
        return result

    return run
