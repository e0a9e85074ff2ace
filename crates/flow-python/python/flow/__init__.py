"""Normalizing flows for NumPy arrays: densities, posteriors and images.

>>> import numpy as np
>>> import flow
>>> x = np.random.default_rng(0).normal(size=(500, 2))
>>> model = flow.NeuralSplineFlow(layers=2, width=16, epochs=5).fit(x)
>>> model.score_samples(x).shape
(500,)
>>> model.sample(3).shape
(3, 2)
"""

from flow._convert import convert, export
from flow._estimators import (
    AutoregressiveSplineFlow,
    InverseAutoregressiveFlow,
    MaskedAutoregressiveFlow,
    NeuralSplineFlow,
    NICE,
    RealNVP,
    load,
)
from flow._flow import Flow
from flow._glow import Glow
from flow._native import __version__, get_num_threads, set_num_threads
from flow._posterior import Posterior, Ranks, sbc_ranks

__all__ = [
    "AutoregressiveSplineFlow",
    "Flow",
    "Glow",
    "InverseAutoregressiveFlow",
    "MaskedAutoregressiveFlow",
    "NICE",
    "NeuralSplineFlow",
    "Posterior",
    "Ranks",
    "RealNVP",
    "__version__",
    "convert",
    "export",
    "get_num_threads",
    "load",
    "sbc_ranks",
    "set_num_threads",
]
