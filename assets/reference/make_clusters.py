"""Writes clusters.json: clusters, labels, and what scikit-learn says of their agreement."""

import json
from pathlib import Path

import numpy as np
from sklearn.metrics import normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix


def case(clusters, labels):
    table = contingency_matrix(labels, clusters)
    return {
        "clusters": [int(c) for c in clusters],
        "labels": [int(c) for c in labels],
        "purity": float(table.max(axis=0).sum() / table.sum()),
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
    }


random = np.random.default_rng(0)
labels = random.integers(0, 10, 60)
noisy = np.where(random.random(60) < 0.3, random.integers(0, 10, 60), (labels + 3) % 10)
cases = [
    case(labels, labels),
    case((labels * 7 + 1) % 10, labels),
    case(noisy, labels),
    case(random.integers(0, 10, 60), labels),
    case(labels // 2, labels),
    case(labels, labels // 2),
    case(np.zeros(60, int), labels),
    case(np.arange(60), labels),
    case(np.zeros(5, int), np.zeros(5, int)),
    case([3], [8]),
]
path = Path(__file__).parent / "clusters.json"
path.write_text(json.dumps(cases) + "\n")
