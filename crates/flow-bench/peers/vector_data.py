"""Data of the measurements of flows of vectors, as `NAME.train.npy` and `NAME.test.npy` in a folder.

Rows are standardised by the training part, in f32. A file `NAME.train.context.npy` holds what rows are conditioned on.
Breast cancer is the Wisconsin (Diagnostic) set of the UCI repository that scikit-learn ships, CC BY 4.0: its ten means.
"""

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


def chain(rng, count, features):
    """A chain of parabolas, xᵢ = (xᵢ₋₁² − 1)/2 + zᵢ/2 after x₀ = z₀, with independent z ~ N(0, 1)."""
    z = rng.normal(size=(count, features))
    x = z.copy()
    for i in range(1, features):
        x[:, i] = (np.clip(x[:, i - 1], -3, 3) ** 2 - 1) / 2 + z[:, i] / 2
    return x


def simulations(rng, count):
    """Rates of Lotka–Volterra's equations, ln rates ~ N(0, 1/4), and noisy logarithms of 20 counts."""
    logs = 0.5 * rng.normal(size=(count, 4))
    rates = np.exp(logs)
    prey, hunters, counts = np.ones(count), np.ones(count), []
    for step in range(1, 101):
        met = prey * hunters
        born, grown = rates[:, 0] * prey - rates[:, 1] * met, rates[:, 2] * met - rates[:, 3] * hunters
        prey, hunters = np.maximum(prey + 0.05 * born, 0), np.maximum(hunters + 0.05 * grown, 0)
        if step % 10 == 0:
            counts += [prey, hunters]
    return logs, np.log(np.stack(counts, 1) + 1e-3) + 0.2 * rng.normal(size=(count, 20))


def write_sets(folder):
    for make in (two_moons, checkerboard, eight_gaussians, spirals):
        rng = np.random.default_rng(0)
        write(folder, make.__name__, make(rng, COUNT), make(rng, COUNT))
    table = breast_cancer()
    table = table[np.random.default_rng(0).permutation(len(table))]
    write(folder, "breast_cancer", table[:400], table[400:])


def write_chain(folder, features, rows):
    rng = np.random.default_rng(features)
    write(folder, f"chain{features}", chain(rng, rows, features), chain(rng, COUNT, features))


def write_simulations(folder, rows, pairs):
    rng = np.random.default_rng(0)
    (rates, counts), (truths, seen) = simulations(rng, rows), simulations(rng, pairs)
    write(folder, "rates", rates, truths)
    write(folder, "rates", counts, seen, ".context")


def write(folder, name, train, test, suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    mean, std = train.mean(0), train.std(0)
    for part, x in (("train", train), ("test", test)):
        np.save(folder / f"{name}.{part}{suffix}.npy", ((x - mean) / std).astype(np.float32))


def read(folder, name, part):
    """Rows and their contexts, which are None without a file."""
    context = folder / f"{name}.{part}.context.npy"
    return np.load(folder / f"{name}.{part}.npy"), np.load(context) if context.exists() else None
