#!/usr/bin/env python3
"""Trains a Glow in nflows for so many minutes: the peer of `flow-bench training`.

    python3 -m venv peers && peers/bin/pip install torch nflows numpy
    peers/bin/python train.py [--data-dir data] [--minutes 20] [--every 2] [--samples FILE] …

Images are those of MNIST or CIFAR-10. The model is that of `bench.py`: σ(s + 2) scales, priors that are not
learned. Pixels become
(v + u)/256 − ½ with u uniform in [0, 1); Adam, one rate. At every mark it is measured on test images spread evenly
over the split, as `flow eval --limit` spreads them; neither measuring nor sampling counts as training.
Prints one JSON object.
"""

import argparse
import gzip
import json
import math
import pathlib
import struct
import sys
import time

import numpy as np
import torch

from bench import NflowsGlow

MAGIC = 0x800  # an IDX file of bytes, with its number of dimensions added
AT_ONCE = 100


def read_images(folder, name):
    path = next((path for path in (folder / name, folder / f"{name}.gz") if path.exists()), None)
    if path is None:
        sys.exit(f"there is no `{folder / name}`; `cargo xtask fetch-mnist` gets it")
    content = (gzip.open if path.suffix == ".gz" else open)(path, "rb").read()
    magic, count, height, width = struct.unpack_from(">4I", content)
    if magic != MAGIC + 3 or len(content) != 16 + count * height * width:
        sys.exit(f"`{path}` is no IDX file of images")
    pixels = np.frombuffer(content, np.uint8, offset=16).reshape(count, 1, height, width)
    return torch.from_numpy(pixels.copy())


def read_mnist(folder):
    return [read_images(folder, f"{part}-images-idx3-ubyte") for part in ("train", "t10k")]


def read_cifar10(folder):
    def read(names):
        rows = np.concatenate([np.fromfile(folder / name, np.uint8) for name in names]).reshape(-1, 1 + 3 * 32 * 32)
        return torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32).copy())

    return read([f"data_batch_{i}.bin" for i in range(1, 6)]), read(["test_batch.bin"])


def write_images(path, images):
    shape = [size for axis, size in enumerate(images.shape) if axis != 1 or size > 1]
    path.write_bytes(struct.pack(f">{1 + len(shape)}I", MAGIC + len(shape), *shape) + images.numpy().tobytes())


def dequantize(pixels, generator=None):
    noise = torch.rand(pixels.shape, generator=generator)
    return (pixels + noise) / 256 - 0.5


def bits_per_dim(model, pixels, generator=None):
    """One draw of noise an image; the density of x is 256 times less per dimension in units of pixel values."""
    dimensions = pixels[0].numel()
    nats = -model.log_prob(dequantize(pixels, generator))
    return nats / (dimensions * math.log(2)) + math.log2(256)


@torch.no_grad()
def measure(model, test):
    model.eval()
    generator = torch.Generator().manual_seed(0)
    total = sum(bits_per_dim(model, part, generator).double().sum().item() for part in test.split(AT_ONCE))
    model.train()
    return total / len(test)


@torch.no_grad()
def sample(model, count):
    """What is not finite becomes black: a quality that is judged, not an error."""
    model.eval()
    parts = [model.sample(min(AT_ONCE, count - start)) for start in range(0, count, AT_ONCE)]
    pixels = torch.floor((torch.cat(parts) + 0.5) * 256).nan_to_num(0, 255, 0)
    return pixels.clamp(0, 255).to(torch.uint8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    readers = dict(mnist=read_mnist, cifar10=read_cifar10)
    parser.add_argument("--dataset", choices=readers, default="mnist")
    parser.add_argument("--data-dir", type=pathlib.Path, default=pathlib.Path("data"))
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--every", type=float, default=2, help="minutes from mark to mark")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--samples", type=pathlib.Path, help="an IDX file to write samples to")
    defaults = dict(levels=2, steps=8, width=64, batch_size=64, test_images=2000, sample_count=10_000, seed=0)
    for name, value in defaults.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    train, test = readers[options.dataset](options.data_dir / options.dataset)
    options.channels, options.size = train.shape[1:3]
    limit = min(options.test_images, len(test))
    test = test[[i * len(test) // limit for i in range(limit)]]

    model = NflowsGlow(options)
    optimizer = torch.optim.Adam(model.parameters(), options.learning_rate)
    marks, order, steps, seconds = [], [], 0, 0.0
    while seconds < 60 * options.minutes:
        start = time.perf_counter()
        if not order:
            order = list(torch.randperm(len(train)).split(options.batch_size))[: len(train) // options.batch_size]
        loss = bits_per_dim(model, train[order.pop()]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps += 1
        seconds += time.perf_counter() - start
        if seconds >= min(60 * options.every * (len(marks) + 1), 60 * options.minutes):
            bits = measure(model, test)
            # JSON knows no other numbers.
            marks.append(dict(seconds=seconds, bits_per_dim=bits if math.isfinite(bits) else None))
            print(f"nflows: {seconds / 60:.2f} minutes, {bits:.4f} bits per dimension", file=sys.stderr)
    if options.samples:
        write_images(options.samples, sample(model, options.sample_count))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    images = steps * options.batch_size
    print(json.dumps(dict(parameters=parameters, images_per_second=images / seconds, marks=marks)))


if __name__ == "__main__":
    main()
