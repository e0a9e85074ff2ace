"""Every estimator of vectors, by the name of its recipe."""

from __future__ import annotations

import flow

KINDS = {
    "nsf": flow.NeuralSplineFlow,
    "nsf-ar": flow.AutoregressiveSplineFlow,
    "realnvp": flow.RealNVP,
    "maf": flow.MaskedAutoregressiveFlow,
    "iaf": flow.InverseAutoregressiveFlow,
    "nice": flow.NICE,
}
