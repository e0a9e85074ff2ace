"""Loads what `cargo xtask convert-checkpoint MODEL EXPORTED --to PEER` wrote into the peer itself, and compares.

    flow encode --checkpoint MODEL --raw --input X.safetensors --out Z.safetensors
    python check_export.py EXPORTED FACTS.json X.safetensors Z.safetensors [--clones DIR]

FACTS.json says what the model is: kind, levels, steps, hidden, size, channels, and the arguments of the peer's
builder in peers.py that differ from its defaults.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from peers import build

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("exported")
parser.add_argument("facts")
parser.add_argument("x")
parser.add_argument("z")
parser.add_argument("--clones")
arguments = parser.parse_args()

facts = json.loads(Path(arguments.facts).read_text())
peer = build(facts.pop("kind"), arguments.clones, **facts)
peer.module.load_state_dict(load_file(arguments.exported))
peer.module.eval()
x, z = load_file(arguments.x), load_file(arguments.z)
labels = z["labels"].long() if "labels" in z else None
with torch.no_grad():
    log_prob = peer.log_prob(x["x"], labels)
error = (log_prob - z["log_prob"]).abs().max().item() / x["x"][0].numel()
print(f"log_prob differs by {error:.1e} nats a dimension")
sys.exit(error > 1e-5)
