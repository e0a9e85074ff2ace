"""Loads what `flow convert MODEL OUT --to PEER` writes into the peer itself, and compares ln p(x).

    python check_export.py [--clones DIR] [--steps N] WORK

Trains a few models for each peer on the bundled digits, with `flow train --for PEER` and without, and takes the models
that ship too, where they can be written. Each is written for the peer, built there by what the metadata of the file say (peers.py),
and loaded; both programs give ln p of the same 64 digits. The status is 1 if one differs by 1e-5 nats a dimension or
more. Begin with `cargo build -p flow-cli`.
"""

import argparse
import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from peers import build

ROOT = Path(__file__).parents[2]
COUNT, BOUND = 64, 1e-5
TRAINED = {
    "small": "--levels 2 --steps 2 --width 16",
    "deeper": "--levels 1 --steps 5 --width 32 --preset base",
    "additive": "--levels 2 --steps 3 --width 8 --coupling additive --preset paper",
    "preset": "--preset small",
}
PEERS = ["nflows", "normflows", "rosinality"]
# What weights and parts make up for: trained without --for.
OTHERS = {
    "nflows": "--preset paper --scale-map exp-tanh --steps 2 --width 16",
    "normflows": "--preset paper --steps 2 --width 16",
    "rosinality": "--preset paper --levels 1 --steps 3 --width 16",
}
SHIPPED = {"mnist": ["nflows", "normflows"], "mnist-classes": ["nflows", "normflows"]}


def run(program, *arguments):
    subprocess.run([ROOT / "target/debug" / program, *map(str, arguments)], check=True, cwd=ROOT,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def digits(preprocessing, bits):
    """Bundled digits with even noise, as the model sees them."""
    with gzip.open(ROOT / "assets/mnist/t10k-images-idx3-ubyte.gz") as file:
        pixels = numpy.frombuffer(file.read(), numpy.uint8, offset=16).reshape(-1, 1, 28, 28)[:COUNT]
    with gzip.open(ROOT / "assets/mnist/t10k-labels-idx1-ubyte.gz") as file:
        labels = numpy.frombuffer(file.read(), numpy.uint8, offset=8)[:COUNT]
    v, u = pixels >> (8 - bits), numpy.random.default_rng(0).random(pixels.shape)
    p = (v + u) / 2**bits
    if preprocessing == "centered":
        x = p - 0.5
    elif preprocessing == "unit":
        x = p
    else:
        if "logit" in preprocessing:
            margin = preprocessing["logit"]["alpha"]
        else:
            margin, shares = 1e-5, numpy.array(preprocessing["equalized"]["shares"])
            p = (numpy.cumsum(shares) - shares)[v] + shares[v] * u
        p = margin + (1 - 2 * margin) * p
        x = numpy.log(p / (1 - p))
    return torch.tensor(x, dtype=torch.float32), torch.tensor(labels.astype(numpy.int64))


def difference(model, peer, work, clones):
    """In nats a dimension, the largest of all images."""
    exported, x_file, z_file = (work / f"{name}.safetensors" for name in ("exported", "x", "z"))
    run("flow", "convert", model, exported, "--to", peer)
    with safe_open(exported, "pt") as file:
        metadata = {name: json.loads(text) for name, text in file.metadata().items() if name != "format"}
    facts = metadata["model"]
    theirs = build(facts.pop("kind"), clones, **facts)
    theirs.module.load_state_dict(load_file(exported))
    theirs.module.eval()
    x, labels = digits(metadata["preprocessing"]["preprocessing"], metadata["preprocessing"]["bits"])
    tensors = {"x": x}
    if facts.get("classes"):
        tensors["labels"] = labels
    save_file(tensors, x_file)
    run("flow", "encode", "--checkpoint", model, "--raw", "--input", x_file, "--out", z_file)
    with torch.no_grad():
        log_prob = theirs.log_prob(x, tensors.get("labels"))
    error = (log_prob - load_file(z_file)["log_prob"]).abs().max().item()
    return error / x[0].numel(), log_prob.mean().item() / x[0].numel()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--clones")
    parser.add_argument("--steps", default=30, help="training steps")
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    worst = 0.0

    def report(name, peer, model):
        nonlocal worst
        error, log_prob = difference(model, peer, work, arguments.clones)
        worst = max(worst, error) if error == error else float("inf")
        print(f"{peer:11} {name:14} ln p(x)/D {log_prob:9.4f}  differs by {error:.1e}", flush=True)

    for peer in PEERS:
        if peer == "rosinality" and not arguments.clones:
            print("rosinality  not without --clones")
            continue
        trained = {name: f"--for {peer} {options}" for name, options in TRAINED.items()}
        for name, options in {**trained, "without --for": OTHERS[peer]}.items():
            out = work / f"{peer}-{name.split()[0]}"
            run("flow", "train", *options.split(), "--max-steps", arguments.steps, "--batch-size", 64,
                "--overwrite", "--out", out)
            report(name, peer, out / "model.safetensors")
    for name, peers in SHIPPED.items():
        for peer in peers:
            report(name, peer, ROOT / f"assets/models/{name}.safetensors")
    sys.exit(worst >= BOUND)


if __name__ == "__main__":
    main()
