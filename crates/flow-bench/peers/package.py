#!/usr/bin/env python3
"""The Python package beside zuko, nflows, normflows and flowjax: fits, densities, draws, imports, sizes and memory.

    cargo xtask wheel && cargo build --release -p flow-python --example overhead
    python3 -m venv peers && peers/bin/pip install torch nflows zuko normflows flowjax numpy target/wheels/*.whl
    peers/bin/python package.py table DIR
    peers/bin/python package.py overhead DIR target/release/examples/overhead

`table` writes data into DIR (vector_data.py) and prints a table in Markdown. Every figure is of a process of its own,
and rounds go through all libraries in turn; a row is the median over rounds. Flows are neural spline flows of the
sizes of vectors.py, trained for the same number of steps on a chain of parabolas of 20,000 rows. Densities and draws
are of 10,000 rows in one call, after a first call.

`overhead` compares `score_samples` with the same call in Rust, of one row on a flow of one small layer, where the
boundary is most of what there is to see, and of one row and 100,000 on a flow of the usual sizes. Both sides read the
same files and take turns in rounds of 0.05 s; figures are the least of their medians, as other loads of the machine
only add.
"""

import argparse
import importlib.metadata
import json
import multiprocessing
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import vector_data
import vectors

OWN = "flow-density"
LIBRARIES = [OWN, *vectors.LIBRARIES]
IMPORTS = {OWN: "flow", "nflows": "nflows.flows", "flowjax": "flowjax.flows"}


class Own:
    """A flow of the package, with the methods that the peers' have."""

    def __init__(self, sizes, seed, threads):
        import flow

        flow.set_num_threads(threads)
        shared = dict(layers=sizes.layers, width=sizes.width, blocks=sizes.blocks, random_state=seed)
        self.flow = flow.NeuralSplineFlow(bins=sizes.bins, bound=sizes.bound, validation_fraction=0.0, **shared)

    def fit(self, x, context, steps, batch, lr, limit):
        """Trains for `steps`, a whole number of epochs; returns seconds, those of compiling, and the steps done."""
        epochs = steps // -(-len(x) // batch)
        self.flow.set_params(epochs=epochs, patience=epochs, batch_size=batch, learning_rate=lr)
        start = time.perf_counter()
        end = start + limit
        self.flow.set_params(callback=lambda *_: time.perf_counter() > end)
        self.flow.fit(x, context=context)
        return time.perf_counter() - start, 0.0, steps * self.flow.n_epochs_ // epochs

    def log_prob(self, x, context):
        return self.flow.score_samples(x, context).astype("float64")

    def sample(self, count, context=None):
        return self.flow.sample(count, context)

    def ready(self, count):
        """Nothing to compile."""


def build(options, features):
    if options.library == OWN:
        return Own(vectors.Sizes(), options.seed, options.threads)
    return vectors.build(options, "nsf", features, None)


def one(options):
    """The figures of a library in this process."""
    start = time.perf_counter()
    __import__(IMPORTS.get(options.library, options.library))
    figures = dict(import_seconds=time.perf_counter() - start)
    x, _ = vector_data.read(options.folder, f"chain{options.features}", "train")
    test, _ = vector_data.read(options.folder, f"chain{options.features}", "test")
    flow = build(options, x.shape[1])
    steps = options.epochs * -(-len(x) // options.batch)
    seconds, compiling, done = flow.fit(x, None, steps, options.batch, options.lr, options.limit)
    figures.update(fit_seconds=seconds + compiling, steps=done, of_steps=steps)
    flow.log_prob(test, None)
    start = time.perf_counter()
    figures["log_prob"] = float(flow.log_prob(test, None).mean())
    figures["score_seconds"] = time.perf_counter() - start
    figures["sample_seconds"] = vectors.DRAWS / vectors.draws_a_second(flow, options.limit)
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps(figures))


def table(options):
    """Measures all libraries in turn, and prints a table of each size."""
    head = ["library", "fit, s", "steps", "ln p", "score, s", "sample, s", "import, s", "peak, MB", "installed, MB"]
    for features in options.features:
        vector_data.write_chain(options.folder, features, options.rows)
        for batch in options.batch:
            print(f"\n{features} columns, batches of {batch}, {options.epochs} epochs\n")
            print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
            found = {library: [] for library in options.libraries}
            for seed in range(options.rounds):
                for library in options.libraries:
                    found[library].append(measured(options, library, features, batch, seed))
            for library, rounds in found.items():
                row(library, {name: statistics.median(one[name] for one in rounds) for name in rounds[0]})


def measured(options, library, features, batch, seed):
    command = [sys.executable, __file__, "one", options.folder, library]
    for name in ("epochs", "threads", "lr", "limit"):
        command += [f"--{name}", getattr(options, name)]
    command += ["--features", features, "--batch", batch, "--seed", seed]
    shown = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    return json.loads(shown.stdout.splitlines()[-1])


def row(library, of):
    steps = f"{of['steps']:.0f} of {of['of_steps']:.0f}"
    seconds = [f"{of[f'{name}_seconds']:.4g}" for name in ("fit", "score", "sample", "import")]
    cells = [library, seconds[0], steps, f"{of['log_prob']:.3f}", *seconds[1:], f"{of['peak_mb']:.0f}"]
    print("| " + " | ".join([*cells, f"{installed_megabytes(library):.0f}"]) + " |", flush=True)


def installed_megabytes(library):
    """The size of a distribution and all that it requires."""
    seen, left = set(), [library]
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if name in seen:
            continue
        seen.add(name)
        for requirement in found.requires or []:
            if "extra ==" not in requirement:
                left.append(re.match(r"[\w.-]+", requirement)[0])
    files = (file for name in seen for file in importlib.metadata.files(name) or [])
    return sum(file.locate().stat().st_size for file in files if file.locate().is_file()) / 1e6


def save_fitted(x, sizes, path):
    import flow

    flow.NeuralSplineFlow(epochs=1, **sizes).fit(x).save(path)


def overhead(options):
    """Prints microseconds of a call in Python and in Rust, in turn."""
    import numpy as np

    import flow

    options.folder.mkdir(parents=True, exist_ok=True)
    vector_data.write_chain(options.folder, 2, options.rows)
    x, _ = vector_data.read(options.folder, "chain2", "train")
    print("| flow | rows | Python, µs | Rust, µs | difference |\n|---|---|---|---|---|")
    model, data = options.folder / "model.safetensors", options.folder / "rows.npy"
    small = dict(layers=1, width=8, blocks=1)
    for name, sizes, batches in (
        ("one small layer", small, [(1, 2000)]),
        ("usual sizes", {}, [(1, 500), (100_000, 1)]),
    ):
        # In a process of its own: a fit leaves the memory in pieces, and threads that wait.
        fit = multiprocessing.Process(target=save_fitted, args=(x, sizes, model))
        fit.start()
        fit.join()
        fitted = flow.load(model)
        for rows, calls in batches:
            part = np.resize(x, (rows, 2))
            np.save(data, part)
            python, rust = of_both(options, fitted, part, [model, data, calls])
            more = f"{python - rust:.1f} µs, {100 * (python / rust - 1):.1f} %"
            print(f"| {name} | {rows:,} | {python:.1f} | {rust:.1f} | {more} |", flush=True)


def of_both(options, fitted, part, arguments):
    """The least medians of Python and of Rust, in microseconds."""
    *_, calls = arguments
    command = [str(word) for word in (options.program, *arguments)]
    of_python, of_rust = [], []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as rust:
        for _ in range(options.rounds):
            times = []
            for _ in range(calls):
                start = time.perf_counter()
                fitted.score_samples(part)
                times.append(time.perf_counter() - start)
            of_python.append(1e6 * statistics.median(times))
            print(file=rust.stdin)
            of_rust.append(float(rust.stdout.readline()))
        rust.stdin.close()
    return min(of_python), min(of_rust)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    tables, ones, overheads = (commands.add_parser(name) for name in ("table", "one", "overhead"))
    for command, rounds in ((tables, 3), (ones, 3), (overheads, 100)):
        command.add_argument("folder", type=Path)
        command.add_argument("--rows", type=int, default=vectors.ROWS)
        command.add_argument("--rounds", type=int, default=rounds)
    ones.add_argument("library", choices=LIBRARIES)
    ones.add_argument("--features", type=int, default=2)
    ones.add_argument("--batch", type=int, default=256)
    ones.add_argument("--seed", type=int, default=0)
    tables.add_argument("--features", type=int, nargs="+", default=[2, 16, 64])
    tables.add_argument("--batch", type=int, nargs="+", default=[256, 10_000])
    tables.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=LIBRARIES)
    for command in (ones, tables):
        command.add_argument("--epochs", type=int, default=5)
        command.add_argument("--threads", type=int, default=2)
        command.add_argument("--lr", type=float, default=1e-3)
        command.add_argument("--limit", type=float, default=300.0, help="seconds of training, and of draws")
    overheads.add_argument("program", type=Path)
    options = parser.parse_args()
    dict(table=table, one=one, overhead=overhead)[options.command](options)


if __name__ == "__main__":
    main()
