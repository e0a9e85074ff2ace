#!/usr/bin/env python3
"""Trains flows of vectors with nflows: the peers of `flow-bench peers --vectors`.

    python3 -m venv peers && peers/bin/pip install torch nflows numpy scikit-learn
    peers/bin/python vectors.py data DIR
    peers/bin/python vectors.py train DIR NAME realnvp|nsf|maf --steps 1000 --batch 256 [--layers 5] …

`data` writes NAME.train.npy and NAME.test.npy of every set, standardised by the training part. `train` prints a
JSON object with the seconds of training and the log-likelihood of every test sample. Breast cancer is the
Wisconsin (Diagnostic) set of the UCI repository that scikit-learn ships, CC BY 4.0: its ten means.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

COUNT = 10_000


def two_moons(rng, count):
    from sklearn.datasets import make_moons

    return make_moons(count, noise=0.08, random_state=int(rng.integers(2**31)))[0]


def checkerboard(rng, count):
    x = rng.uniform(-4, 4, count)
    # One of the four squares of a column, which lie higher in every other column.
    y = np.floor(x) % 2 + rng.integers(-2, 2, count) * 2 + rng.uniform(0, 1, count)
    return np.stack([x, y], 1)


def eight_gaussians(rng, count):
    angle = rng.integers(0, 8, count) * np.pi / 4
    return 4 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.5 * rng.normal(size=(count, 2))


def spirals(rng, count):
    turn = np.sqrt(rng.uniform(0, 1, count)) * 3 * np.pi
    x = np.stack([-np.cos(turn), np.sin(turn)], 1) * turn[:, None]
    return rng.choice([-1, 1], count)[:, None] * x / 3 + 0.1 * rng.normal(size=(count, 2))


def breast_cancer():
    from sklearn.datasets import load_breast_cancer

    return load_breast_cancer().data[:, :10]


def write_data(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for make in (two_moons, checkerboard, eight_gaussians, spirals):
        rng = np.random.default_rng(0)
        write(folder, make.__name__, make(rng, COUNT), make(rng, COUNT))
    table = breast_cancer()
    table = table[np.random.default_rng(0).permutation(len(table))]
    write(folder, "breast_cancer", table[:400], table[400:])


def write(folder, name, train, test):
    mean, std = train.mean(0), train.std(0)
    for part, x in (("train", train), ("test", test)):
        np.save(folder / f"{name}.{part}.npy", ((x - mean) / std).astype(np.float32))


def build(options, features):
    import torch
    from nflows import distributions, flows, nn, transforms

    network = lambda inputs, outputs: nn.nets.ResidualNet(
        inputs, outputs, hidden_features=options.width, num_blocks=options.blocks
    )
    parts = []
    for index in range(options.layers):
        half = torch.arange(features) >= features // 2
        mask = (half if index % 2 == 0 else half.flip(0)).int()
        if options.flow == "realnvp":
            parts += [transforms.ActNorm(features), transforms.AffineCouplingTransform(mask, network)]
        elif options.flow == "nsf":
            spline = transforms.PiecewiseRationalQuadraticCouplingTransform(
                mask, network, num_bins=8, tails="linear", tail_bound=3.0
            )
            parts += [transforms.LULinear(features), spline]
        else:
            made = transforms.MaskedAffineAutoregressiveTransform(
                features, hidden_features=options.width, num_blocks=options.blocks
            )
            parts += [transforms.ReversePermutation(features), made]
    return flows.Flow(transforms.CompositeTransform(parts), distributions.StandardNormal([features]))


def train(options):
    import torch

    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    load = lambda part: torch.from_numpy(np.load(options.folder / f"{options.name}.{part}.npy"))
    x, test = load("train"), load("test")
    flow = build(options, x.shape[1])
    optimizer = torch.optim.Adam(flow.parameters(), lr=options.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    flow.log_prob(x[: options.batch])  # ActNorm takes its statistics

    start, step = time.perf_counter(), 0
    while step < options.steps:
        order = torch.randperm(len(x))
        for first in range(0, len(x), options.batch):
            if step == options.steps:
                break
            loss = -flow.log_prob(x[order[first : first + options.batch]]).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            step += 1
    seconds = time.perf_counter() - start
    flow.eval()
    with torch.no_grad():
        log_prob = flow.log_prob(test)
    print(json.dumps(dict(seconds=seconds, log_prob=log_prob.tolist())))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    data = commands.add_parser("data")
    data.add_argument("folder", type=Path)
    fit = commands.add_parser("train")
    fit.add_argument("folder", type=Path)
    fit.add_argument("name")
    fit.add_argument("flow", choices=["realnvp", "nsf", "maf"])
    for name, default in dict(steps=1000, batch=256, layers=5, width=64, blocks=2, threads=2, seed=0).items():
        fit.add_argument(f"--{name}", type=int, default=default)
    fit.add_argument("--lr", type=float, default=1e-3)
    options = parser.parse_args()
    write_data(options.folder) if options.command == "data" else train(options)


if __name__ == "__main__":
    main()
