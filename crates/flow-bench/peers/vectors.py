#!/usr/bin/env python3
"""Flows of vectors in nflows, zuko, normflows and flowjax: the peers of `flow-bench vectors` and `peers --vectors`.

    python3 -m venv peers && peers/bin/pip install torch nflows zuko normflows flowjax numpy scikit-learn
    peers/bin/python vectors.py sets DIR
    peers/bin/python vectors.py chain DIR 16
    peers/bin/python vectors.py simulations DIR
    peers/bin/python vectors.py train DIR NAME nsf|nsf-ar|maf|realnvp nflows|zuko|normflows|flowjax --steps 200 …
    peers/bin/python vectors.py posterior DIR nflows|zuko|normflows|flowjax --steps 1000 …
    peers/bin/python vectors.py latency nsf|nsf-ar|maf|realnvp nflows|zuko|normflows --features 2

The first three write data (vector_data.py). `train` prints a JSON object: seconds of training and of compiling, the
steps that the limit left, ln p of the test rows, draws a second, parameters, and the peak of the process's memory in
MB. Draws are 10,000 rows in one call, or fewer if 1,000 say that they would take longer than the limit.

`posterior` learns the rates of simulations by a neural spline flow, and judges it on others by the ranks of the truths
among 200 draws, as `flow_core::calibration` does.

`latency` prints seconds of ln p of 1, 16 and 256 rows and of as many draws, of a fresh flow.
"""

import argparse
import json
import resource
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

import vector_data

ROWS, SIMULATIONS, PAIRS = 20_000, 10_000, 500
DRAWS, DRAWS_EACH = 10_000, 200
FEW = [1, 16, 256]
LIBRARIES = ["nflows", "zuko", "normflows", "flowjax"]


class Sizes(NamedTuple):
    """Those of all flows."""

    layers: int = 5
    width: int = 64
    blocks: int = 2
    bins: int = 8
    bound: float = 3.0

    @property
    def plain_depth(self):
        """Hidden layers of a network without residual blocks that has as many parameters."""
        return 1 + 2 * self.blocks


def build(options, flow, features, context):
    if options.library == "flowjax":
        from jax_flows import JaxFlow as Flow
    else:
        from torch_flows import TorchFlow as Flow
    return Flow(options.library, flow, features, context, Sizes(), options.seed, options.threads)


def fit(options, flow, x, context):
    seconds, compiling, steps = flow.fit(x, context, options.steps, options.batch, options.lr, options.limit)
    return dict(seconds=seconds, compile_seconds=compiling, steps=steps)


def train(options):
    x, _ = vector_data.read(options.folder, options.name, "train")
    test, _ = vector_data.read(options.folder, options.name, "test")
    flow = build(options, options.flow, x.shape[1], None)
    figures = fit(options, flow, x, None)
    figures["log_prob"] = flow.log_prob(test, None).tolist()
    figures["draws_s"] = draws_a_second(flow, options.limit)
    figures["parameters"] = flow.parameters
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps(figures))


def draws_a_second(flow, limit):
    rate, count = np.inf, DRAWS // 10
    for _ in range(2):
        flow.ready(count)
        start = time.perf_counter()
        flow.sample(count)
        rate = count / (time.perf_counter() - start)
        count = min(DRAWS, int(rate * limit))
        if count <= DRAWS // 10:
            break
    return rate


def latency(options):
    flow = build(options, options.flow, options.features, None)
    x = np.random.default_rng(0).normal(size=(max(FEW), options.features)).astype("float32")
    scores = [seconds_of(lambda: flow.log_prob(x[:rows], None)) for rows in FEW]
    draws = [seconds_of(lambda: flow.sample(rows)) for rows in FEW]
    print(json.dumps(dict(seconds=scores + draws)))


def seconds_of(call):
    """The median over a second of calls, after a first one."""
    call()
    end, seconds = time.perf_counter() + 1.0, []
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def posterior(options):
    theta, x = vector_data.read(options.folder, "rates", "train")
    truths, seen = vector_data.read(options.folder, "rates", "test")
    flow = build(options, "nsf", theta.shape[1], x.shape[1])
    figures = fit(options, flow, theta, x)
    of_truth = flow.log_prob(truths, seen)
    drawn = flow.sample(DRAWS_EACH, seen)
    of_drawn = flow.log_prob(drawn.reshape(-1, theta.shape[1]), np.tile(seen, (DRAWS_EACH, 1)))
    levels = (of_drawn.reshape(DRAWS_EACH, -1) > of_truth).mean(0)
    figures["log_prob"] = of_truth.tolist()
    figures["ranks"] = (drawn < truths).sum(0).T.tolist()
    figures["coverage"] = float((levels < 0.9).mean())
    print(json.dumps(figures))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    names = ("sets", "chain", "simulations", "train", "posterior", "latency")
    sets, chain, simulations, fits, posteriors, calls = (commands.add_parser(name) for name in names)
    for command in (sets, chain, simulations, fits, posteriors):
        command.add_argument("folder", type=Path)
    chain.add_argument("features", type=int)
    fits.add_argument("name")
    for command in (fits, calls):
        command.add_argument("flow", choices=["nsf", "nsf-ar", "maf", "realnvp"])
    calls.add_argument("--features", type=int, default=2)
    for command in (fits, posteriors, calls):
        command.add_argument("library", choices=LIBRARIES)
        for name, default in dict(steps=200, batch=256, threads=2, seed=0).items():
            command.add_argument(f"--{name}", type=int, default=default)
        command.add_argument("--lr", type=float, default=1e-3)
        command.add_argument("--limit", type=float, default=np.inf, help="seconds of training, and of draws")
    options = parser.parse_args()
    dict(
        sets=lambda options: vector_data.write_sets(options.folder),
        chain=lambda options: vector_data.write_chain(options.folder, options.features, ROWS),
        simulations=lambda options: vector_data.write_simulations(options.folder, SIMULATIONS, PAIRS),
        train=train,
        posterior=posterior,
        latency=latency,
    )[options.command](options)


if __name__ == "__main__":
    main()
