#!/usr/bin/env python3
"""Flows of vectors of several sizes in nflows, zuko and normflows: the peers of `flow-bench vectors`.

    python3 -m venv peers && peers/bin/pip install torch nflows zuko normflows numpy
    peers/bin/python vector_sizes.py data DIR 16
    peers/bin/python vector_sizes.py simulate DIR
    peers/bin/python vector_sizes.py posterior DIR nflows|zuko
    peers/bin/python vector_sizes.py train DIR 16 nsf|nsf-ar|maf|realnvp nflows|zuko|normflows --steps 200 …

`data` writes train.16.npy and test.16.npy: a chain of parabolas, xᵢ = (xᵢ₋₁² − 1)/2 + zᵢ/2 after x₀ = z₀, with
independent z ~ N(0, 1), standardised by the training part. `train` prints a JSON object: seconds of training, the
mean ln p of the test rows, draws a second, parameters, and the peak of the process's memory in MB.

`simulate` writes rates of Lotka–Volterra's equations, ln rates ~ N(0, 1/4), and noisy logarithms of 20 counts; a
posterior is learned from 10,000 of them by a neural spline flow, and judged on 500 others by the ranks of the truths
among 200 draws, as `flow_core::calibration` does.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np

COUNT = 20_000
TEST = 10_000
DRAWS = 10_000
LAYERS, WIDTH, BLOCKS, BINS, BOUND = 5, 64, 2, 8, 3.0
PAIRS, DRAWS_EACH = 500, 200


def chain(rng, count, features):
    z = rng.normal(size=(count, features))
    x = z.copy()
    for i in range(1, features):
        x[:, i] = (np.clip(x[:, i - 1], -3, 3) ** 2 - 1) / 2 + z[:, i] / 2
    return x


def write_data(options):
    options.folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(options.features)
    train, test = (chain(rng, count, options.features) for count in (COUNT, TEST))
    mean, std = train.mean(0), train.std(0)
    for part, x in (("train", train), ("test", test)):
        np.save(options.folder / f"{part}.{options.features}.npy", ((x - mean) / std).astype(np.float32))


def write_simulations(options):
    options.folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", 10_000), ("test", PAIRS)):
        logs = 0.5 * rng.normal(size=(count, 4))
        rates = np.exp(logs)
        prey, hunters, counts = np.ones(count), np.ones(count), []
        for step in range(1, 101):
            met = prey * hunters
            born, grown = rates[:, 0] * prey - rates[:, 1] * met, rates[:, 2] * met - rates[:, 3] * hunters
            prey, hunters = np.maximum(prey + 0.05 * born, 0), np.maximum(hunters + 0.05 * grown, 0)
            if step % 10 == 0:
                counts += [prey, hunters]
        counts = np.log(np.stack(counts, 1) + 1e-3) + 0.2 * rng.normal(size=(count, 20))
        for name, x in (("rates", logs), ("counts", counts)):
            np.save(options.folder / f"{part}.{name}.npy", x.astype(np.float32))


def posterior(options):
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    load = lambda part, name: torch.from_numpy(np.load(options.folder / f"{part}.{name}.npy"))
    theta, x, truths, seen = (load(part, name) for part in ("train", "test") for name in ("rates", "counts"))
    means, stds = zip(*((data.mean(0), data.std(0)) for data in (theta, x)))
    theta, truths = ((data - means[0]) / stds[0] for data in (theta, truths))
    x, seen = ((data - means[1]) / stds[1] for data in (x, seen))
    if options.library == "nflows":
        flow, log_prob, _ = of_nflows("nsf", 4, 20)
        draw = lambda: flow.sample(DRAWS_EACH, seen)
        score = lambda theta, x: log_prob(theta, context=x)
    else:
        import zuko

        sizes = dict(transforms=LAYERS, hidden_features=[WIDTH] * (BLOCKS + 1), residual=True)
        flow = zuko.flows.NSF(4, 20, bins=BINS, passes=2, **sizes)
        draw = lambda: flow(seen).sample((DRAWS_EACH,)).transpose(0, 1)
        score = lambda theta, x: flow(x).log_prob(theta)
    optimizer = torch.optim.Adam(flow.parameters(), lr=options.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    start, step = time.perf_counter(), 0
    while step < options.steps:
        order = torch.randperm(len(x))
        for rows in order.split(options.batch):
            if step == options.steps:
                break
            loss = -score(theta[rows], x[rows]).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            step += 1
    seconds = time.perf_counter() - start
    flow.eval()
    with torch.no_grad():
        test = score(truths, seen)
        drawn = draw()
        each = lambda data: data.repeat_interleave(DRAWS_EACH, 0)
        of_drawn = score(drawn.reshape(-1, 4), each(seen)).reshape(PAIRS, DRAWS_EACH)
        ranks = (drawn < truths[:, None]).sum(1)
        levels = (of_drawn > test[:, None]).double().mean(1)
    print(
        json.dumps(
            dict(
                seconds=seconds,
                log_prob=(test.double().mean() - stds[0].double().log().sum()).item(),
                ranks=ranks.T.tolist(),
                coverage=(levels < 0.9).double().mean().item(),
            )
        )
    )


def of_nflows(flow, features, context=None):
    import torch
    from nflows import distributions, flows, nn, transforms

    network = lambda inputs, outputs: nn.nets.ResidualNet(
        inputs, outputs, hidden_features=WIDTH, num_blocks=BLOCKS, context_features=context
    )
    made = dict(features=features, hidden_features=WIDTH, num_blocks=BLOCKS)
    spline = dict(num_bins=BINS, tails="linear", tail_bound=BOUND)
    parts = []
    for index in range(LAYERS):
        half = torch.arange(features) >= features // 2
        mask = (half if index % 2 == 0 else half.flip(0)).int()
        parts += {
            "nsf": lambda: [
                transforms.LULinear(features),
                transforms.PiecewiseRationalQuadraticCouplingTransform(mask, network, **spline),
            ],
            "realnvp": lambda: [transforms.ActNorm(features), transforms.AffineCouplingTransform(mask, network)],
            "maf": lambda: [
                transforms.ReversePermutation(features),
                transforms.MaskedAffineAutoregressiveTransform(**made),
            ],
            "nsf-ar": lambda: [
                transforms.ReversePermutation(features),
                transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(**made, **spline),
            ],
        }[flow]()
    flow = flows.Flow(transforms.CompositeTransform(parts), distributions.StandardNormal([features]))
    return flow, flow.log_prob, flow.sample


def of_zuko(flow, features):
    """Its own defaults are two hidden layers; blocks make it as deep as the others."""
    import zuko

    sizes = dict(transforms=LAYERS, hidden_features=[WIDTH] * (BLOCKS + 1))
    if flow != "realnvp":
        sizes["residual"] = True
    flow = {
        "nsf": lambda: zuko.flows.NSF(features, bins=BINS, passes=2, **sizes),
        "nsf-ar": lambda: zuko.flows.NSF(features, bins=BINS, **sizes),
        "maf": lambda: zuko.flows.MAF(features, **sizes),
        "realnvp": lambda: zuko.flows.RealNVP(features, **sizes),
    }[flow]()
    return flow, lambda x: flow().log_prob(x), lambda count: flow().sample((count,))


def of_normflows(flow, features):
    """Its masked affine flow draws in one pass and scores in one for each number, as an IAF does."""
    import normflows as nf
    import torch

    parts = []
    for index in range(LAYERS):
        half = (torch.arange(features) % 2 == index % 2).float()
        nets = [nf.nets.MLP([features, WIDTH, WIDTH, features], init_zeros=True) for _ in range(2)]
        parts += {
            "nsf": lambda: [
                nf.flows.CoupledRationalQuadraticSpline(features, BLOCKS, WIDTH, num_bins=BINS, tail_bound=BOUND),
                nf.flows.LULinearPermute(features),
            ],
            "nsf-ar": lambda: [
                nf.flows.AutoregressiveRationalQuadraticSpline(features, BLOCKS, WIDTH, num_bins=BINS, tail_bound=BOUND),
                nf.flows.LULinearPermute(features),
            ],
            "maf": lambda: [
                nf.flows.MaskedAffineAutoregressive(features, WIDTH, num_blocks=BLOCKS),
                nf.flows.LULinearPermute(features),
            ],
            "realnvp": lambda: [nf.flows.MaskedAffineFlow(half, *nets), nf.flows.ActNorm(features)],
        }[flow]()
    flow = nf.NormalizingFlow(nf.distributions.DiagGaussian(features, trainable=False), parts)
    return flow, flow.log_prob, lambda count: flow.sample(count)[0]


def train(options):
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    load = lambda part: torch.from_numpy(np.load(options.folder / f"{part}.{options.features}.npy"))
    x, test = load("train"), load("test")
    build = dict(nflows=of_nflows, zuko=of_zuko, normflows=of_normflows)[options.library]
    flow, log_prob, sample = build(options.flow, options.features)
    optimizer = torch.optim.Adam(flow.parameters(), lr=options.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    with torch.no_grad():
        log_prob(x[: options.batch])  # ActNorm takes its statistics

    start, step = time.perf_counter(), 0
    while step < options.steps:
        order = torch.randperm(len(x))
        for first in range(0, len(x), options.batch):
            if step == options.steps:
                break
            loss = -log_prob(x[order[first : first + options.batch]]).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            step += 1
    seconds = time.perf_counter() - start
    flow.eval()
    with torch.no_grad():
        score = log_prob(test).double().mean().item()
        start = time.perf_counter()
        sample(DRAWS)
        drawing = time.perf_counter() - start
    print(
        json.dumps(
            dict(
                seconds=seconds,
                log_prob=score,
                draws_s=DRAWS / drawing,
                parameters=sum(p.numel() for p in flow.parameters() if p.requires_grad),
                peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
            )
        )
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    data, fit = commands.add_parser("data"), commands.add_parser("train")
    simulate, learn = commands.add_parser("simulate"), commands.add_parser("posterior")
    for command in (data, fit, simulate, learn):
        command.add_argument("folder", type=Path)
    for command in (data, fit):
        command.add_argument("features", type=int)
    learn.add_argument("library", choices=["nflows", "zuko"])
    fit.add_argument("flow", choices=["nsf", "nsf-ar", "maf", "realnvp"])
    fit.add_argument("library", choices=["nflows", "zuko", "normflows"])
    for command in (fit, learn):
        for name, default in dict(steps=200, batch=256, threads=2).items():
            command.add_argument(f"--{name}", type=int, default=default)
        command.add_argument("--lr", type=float, default=1e-3)
    options = parser.parse_args()
    dict(data=write_data, train=train, simulate=write_simulations, posterior=posterior)[options.command](options)


if __name__ == "__main__":
    main()
