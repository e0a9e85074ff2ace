#!/usr/bin/env python3
"""Makes `reference.json` beside it: points and what numpy and scipy say of them. Needs both."""

import json
import pathlib

import numpy as np
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

NEIGHBORS = 3


def share_inside(centers, others):
    radii = np.sort(cdist(centers, centers), axis=1)[:, NEIGHBORS]
    return float((cdist(others, centers) <= radii).any(axis=1).mean())


random = np.random.default_rng(9)
a = random.normal(size=(60, 5)) @ random.normal(size=(5, 5))
b = 0.5 + random.normal(size=(50, 5)) @ random.normal(size=(5, 5))
a, b = a.round(3), b.round(3)

first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
shift = a.mean(0) - b.mean(0)
result = {
    "a": a.tolist(),
    "b": b.tolist(),
    "neighbors": NEIGHBORS,
    "distance": float(shift @ shift + np.trace(first + second - 2 * sqrtm(first @ second)).real),
    "b_in_a": share_inside(a, b),
    "a_in_b": share_inside(b, a),
}
path = pathlib.Path(__file__).with_name("reference.json")
path.write_text(json.dumps(result) + "\n")
