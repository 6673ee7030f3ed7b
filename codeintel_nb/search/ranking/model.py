"""The fitted weights, and scores as sums of whole ten-thousandths."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from .features import FEATURES
from .pool import Floats

STEP = 10_000  # contributions are rounded to 1/STEP: their sum is the same in any order
Steps = npt.NDArray[np.int64]


class Weights(msgspec.Struct, frozen=True):
    """Weights by feature, as fitted by ``training/fit.py``."""

    features: dict[str, float]


class Model(NamedTuple):
    """Weights in the order of FEATURES."""

    weights: Floats

    def contributions(self, matrix: Floats) -> Steps:
        """Return what each feature adds to each file's score, files x features, in 1/STEP."""
        steps: Steps = np.rint(matrix * (self.weights * STEP)).astype(np.int64)
        return steps


@cache
def default_model() -> Model:
    data = (files(__package__) / "weights.json").read_bytes()
    weights = msgspec.json.decode(data, type=Weights).features
    return Model(np.array([weights.get(name, 0.0) for name in FEATURES]))
