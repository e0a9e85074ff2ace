"""Writes metrics.json beside this script: scores of normal and of strange images, and what scikit-learn makes of them.

`python make_metrics.py`, with numpy and scikit-learn from PyPI. Strange images are the positives.
"""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

RECALL = 0.95


def cases(random):
    """Names, with scores of normal and of strange images."""
    normal = random.normal
    yield "apart", normal(0, 1, 60), normal(2, 1, 40)
    yield "reversed", normal(2, 1, 50), normal(0, 1, 50)
    yield "same", normal(0, 1, 80), normal(0, 1, 80)
    yield "few strange", normal(0, 1, 300), normal(1, 2, 3)
    yield "few normal", normal(0, 1, 2), normal(1, 2, 200)
    yield "one each", np.array([0.25]), np.array([0.5])
    yield "ties", np.round(normal(0, 1, 120)), np.round(normal(1, 1, 90))
    yield "many ties", random.integers(0, 2, 100).astype(float), random.integers(0, 3, 70).astype(float)
    yield "all equal", np.full(7, 1.5), np.full(5, 1.5)
    # 95 % of 20 and of 40 are whole numbers: the threshold is exactly there.
    yield "twenty", normal(0, 1, 40), normal(1, 1, 20)
    yield "forty", normal(0, 1, 20), normal(1, 1, 40)
    yield "tiny differences", 1 + normal(0, 1, 50) * 1e-12, 1 + normal(1, 1, 50) * 1e-12
    yield "huge", normal(0, 1, 50) * 1e300, normal(1, 1, 50) * 1e300


def main():
    random = np.random.default_rng(7)
    fixtures = []
    for name, normal, strange in cases(random):
        truth = np.repeat([0, 1], [len(normal), len(strange)])
        scores = np.concatenate([normal, strange])
        false_alarms, recall, _ = roc_curve(truth, scores, drop_intermediate=False)
        fixtures.append({
            "name": name,
            "normal": normal.tolist(),
            "strange": strange.tolist(),
            "auroc": roc_auc_score(truth, scores),
            "aupr": average_precision_score(truth, scores),
            "fpr95": false_alarms[np.argmax(recall >= RECALL)],
        })
    lines = ",\n".join(json.dumps(fixture) for fixture in fixtures)
    text = f'{{"scikit-learn": "{sklearn.__version__}", "cases": [\n{lines}\n]}}\n'
    (Path(__file__).parent / "metrics.json").write_text(text)


if __name__ == "__main__":
    main()
