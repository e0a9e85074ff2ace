#!/usr/bin/env python3
"""Densities and outliers of tables in scikit-learn: the peers of `flow-bench tables`.

    python3 -m venv peers && peers/bin/pip install torch nflows numpy scikit-learn
    peers/bin/python tables.py data DIR NAME [--rows 1000000]
    peers/bin/python tables.py density DIR NAME mixture|kernel
    peers/bin/python tables.py outliers DIR NAME
    peers/bin/python tables.py auroc USUAL ODD
    peers/bin/python tables.py run COMMAND …

`data` writes NAME.train.csv, NAME.test.csv and, of tables with an odd class, NAME.odd.csv; rows of that class are
nowhere else. It prints the number of rows to fit. `density` prints the mean ln p of the test rows, the rows that were
fitted, seconds and the peak of memory in MB. The number of components is the best of 1 to 10, and the bandwidth the
best of 12, on a tenth of the training rows; both are chosen on at most 50,000 rows. A kernel density is fitted to at
most 10,000 rows and scores at most 10,000, since its cost is their product. `outliers` prints the area under the curve
of an isolation forest, `auroc` that of two tables with a column `log_prob`. `run` prints seconds and the peak of memory
of another program.

`made` is a table of 8 columns: a mixture of three bent ribbons, skewed and with heavy tails. Its odd rows are of two
kinds, half each: columns drawn independently of each other, and numbers that are even between 1.1 times the extremes
of each column (Han et al. 2022, arXiv:2206.09426, section 3.2: dependency and global anomalies).
"""

import argparse
import json
import resource
import subprocess
import time
from pathlib import Path

import numpy as np

# The class that is odd, and has no part in training.
ODD = dict(breast_cancer=0, wine=2, digits=8)
# Rows to choose components and bandwidths, and rows of a kernel density.
CHOOSING, KERNELS = 50_000, 10_000


def made(rows):
    rng = np.random.default_rng(0)
    kind, z = rng.integers(0, 3, rows), rng.normal(size=(rows, 8))
    x = z.copy()
    x[:, 1] = 0.5 * z[:, 1] + np.sin(2 * z[:, 0]) + kind
    x[:, 2] = 0.3 * z[:, 2] + x[:, 1] ** 2 / 4
    x[:, 3] = np.exp(0.5 * z[:, 3] + 0.3 * kind)
    x[:, 4] = z[:, 4] * (1 + np.abs(z[:, 0]))
    x[:, 5] = 0.7 * z[:, 5] + 0.7 * x[:, 4]
    x[:, 6] = rng.standard_t(4, rows)
    return x


def made_odd(x, rows):
    rng = np.random.default_rng(1)
    dependency = np.stack([rng.choice(column, rows // 2) for column in x.T], 1)
    return np.r_[dependency, rng.uniform(1.1 * x.min(0), 1.1 * x.max(0), size=(rows - rows // 2, x.shape[1]))]


def load(name, rows):
    if name == "made":
        return made(rows), None
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")()
    x, labels = data.data.astype(float), data.target
    # Columns that are constant have no density; counts of pixels get noise, and then they have one.
    if name == "digits":
        x = x + np.random.default_rng(0).uniform(size=x.shape)
    return x, labels if name in ODD else None


def write_data(options):
    options.folder.mkdir(parents=True, exist_ok=True)
    x, labels = load(options.name, options.rows)
    write = lambda part, rows: np.savetxt(
        path(options, part),
        rows,
        delimiter=",",
        fmt="%.9g",
        comments="",
        header=",".join(f"column{i}" for i in range(x.shape[1])),
    )
    if options.name == "made":
        write("odd", made_odd(x, max(2, options.rows // 100)))
    if labels is not None:
        write("odd", x[labels == ODD[options.name]])
        x = x[labels != ODD[options.name]]
    x = x[np.random.default_rng(1).permutation(len(x))]
    held = len(x) // 5
    write("test", x[:held])
    write("train", x[held:])
    report(rows=len(x) - held)


def path(options, part):
    return options.folder / f"{options.name}.{part}.csv"


def read(options, part):
    return np.loadtxt(path(options, part), delimiter=",", skiprows=1, ndmin=2)


def standardised(options):
    train, test = read(options, "train"), read(options, "test")
    mean, std = train.mean(0), train.std(0)
    # ln p is in the units of the table.
    return (train - mean) / std, (test - mean) / std, -np.log(std).sum()


def density(options):
    from sklearn.mixture import GaussianMixture
    from sklearn.neighbors import KernelDensity

    train, test, log_det = standardised(options)
    start = time.perf_counter()
    if options.model == "kernel":
        # Rows lie in a random order.
        train, test = train[:KERNELS], test[:KERNELS]
        fit = lambda x, bandwidth: KernelDensity(bandwidth=bandwidth).fit(x)
        choices = np.geomspace(0.05, 2, 12)
    else:
        fit = lambda x, components: GaussianMixture(components, reg_covar=1e-4, random_state=0).fit(x)
        choices = range(1, min(10, len(train) // 20) + 1)
    few = train[:CHOOSING]
    held = len(few) // 10
    scores = {choice: fit(few[held:], choice).score_samples(few[:held]).mean() for choice in choices}
    best = max(scores, key=scores.get)
    score = fit(train, best).score_samples(test).mean() + log_det
    report(log_prob=score, rows=len(train), seconds=time.perf_counter() - start, choice=float(best))


def outliers(options):
    from sklearn.ensemble import IsolationForest

    train, test, odd = (read(options, part) for part in ("train", "test", "odd"))
    start = time.perf_counter()
    forest = IsolationForest(random_state=0).fit(train)
    area = area_under_curve(forest.score_samples(test), forest.score_samples(odd))
    report(auroc=area, rows=len(train), seconds=time.perf_counter() - start)


def area_under_curve(usual, odd):
    from sklearn.metrics import roc_auc_score

    labels = np.r_[np.ones(len(usual)), np.zeros(len(odd))]
    return roc_auc_score(labels, np.r_[usual, odd])


def scores(path):
    return np.genfromtxt(path, delimiter=",", names=True)["log_prob"]


def run(program):
    start = time.perf_counter()
    subprocess.run(program, check=True, capture_output=True)
    report(resource.RUSAGE_CHILDREN, seconds=time.perf_counter() - start)


def report(whose=resource.RUSAGE_SELF, **figures):
    figures["peak_mb"] = resource.getrusage(whose).ru_maxrss / 1e3
    print(json.dumps(figures))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("data", "density", "outliers"):
        command = commands.add_parser(name)
        command.add_argument("folder", type=Path)
        command.add_argument("name", choices=["breast_cancer", "wine", "iris", "diabetes", "digits", "made"])
        if name == "data":
            command.add_argument("--rows", type=int, default=1_000_000)
        if name == "density":
            command.add_argument("model", choices=["mixture", "kernel"])
    command = commands.add_parser("auroc")
    command.add_argument("usual", type=Path)
    command.add_argument("odd", type=Path)
    commands.add_parser("run").add_argument("program", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.command == "auroc":
        report(auroc=area_under_curve(scores(options.usual), scores(options.odd)))
    elif options.command == "run":
        run(options.program)
    else:
        dict(data=write_data, density=density, outliers=outliers)[options.command](options)


if __name__ == "__main__":
    main()
