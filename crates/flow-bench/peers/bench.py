#!/usr/bin/env python3
"""Times Glow in PyTorch: the peers of `flow-bench peers`.

    python3 -m venv peers && peers/bin/pip install torch nflows numpy
    peers/bin/python bench.py nflows|torch [--precision f32|tf32|bf16] [--compile] [--device cpu|cuda] [--steps 16] …

`nflows` is a Glow assembled from that library's parts, as its users do. `torch` is written by hand for
speed: channels-last memory, ActNorm folded into the 1×1 convolution. `tf32` rounds the factors of products and
convolutions on a GPU to ten bits of fraction, `bf16` runs the coupling networks in bfloat16, `--compile` compiles
forward and backward. Prints one JSON object with the fields of `flow bench`.
"""

import argparse
import json
import math
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

LN_2PI = math.log(2 * math.pi)


class CouplingNetwork(nn.Module):
    """3×3, ReLU, 1×1, ReLU, 3×3 that starts at zero and has a learned gain."""

    def __init__(self, inputs, outputs, width):
        super().__init__()
        self.first = nn.Conv2d(inputs, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 1)
        self.last = nn.Conv2d(width, outputs, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.log_gain = nn.Parameter(torch.zeros(1, outputs, 1, 1))

    def forward(self, x, context=None):
        hidden = F.relu(self.second(F.relu(self.first(x))))
        return self.last(hidden) * (3 * self.log_gain).exp()


class NflowsGlow(nn.Module):
    def __init__(self, options):
        super().__init__()
        from nflows import distributions, flows, transforms

        levels = transforms.MultiscaleCompositeTransform(options.levels)
        channels, size = options.channels, options.size
        for _ in range(options.levels):
            channels, size = 4 * channels, size // 2
            parts = [transforms.SqueezeTransform()]
            for index in range(options.steps):
                mask = torch.tensor([1.0 if (c + index) % 2 else -1.0 for c in range(channels)])
                network = lambda inputs, outputs: CouplingNetwork(inputs, outputs, options.width)
                parts += [
                    transforms.ActNorm(channels),
                    transforms.OneByOneConvolution(channels),
                    transforms.AffineCouplingTransform(mask, network),
                ]
            goes_on = levels.add_transform(transforms.CompositeTransform(parts), [channels, size, size])
            channels = goes_on[0] if goes_on else channels
        base = distributions.StandardNormal([options.channels * options.size**2])
        self.flow = flows.Flow(levels, base)

    def log_prob(self, x):
        return self.flow.log_prob(x)

    def sample(self, count):
        return self.flow.sample(count)


class Step(nn.Module):
    """ActNorm and 1×1 convolution as one affine map of the channels, then an affine coupling."""

    def __init__(self, channels, options):
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels)).Q
        self.register_buffer("rotation", rotation)
        self.register_buffer("identity", torch.eye(channels))
        self.lower = nn.Parameter(torch.zeros(channels, channels))
        self.upper = nn.Parameter(torch.zeros(channels, channels))
        self.log_diagonal = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.shift = nn.Parameter(torch.zeros(channels))
        self.network = CouplingNetwork(channels // 2, channels, options.width)
        self.device = options.device
        self.half_precision = options.precision == "bf16"

    def channel_map(self):
        lower = self.lower.tril(-1) + self.identity
        upper = self.upper.triu(1) + self.log_diagonal.exp().diag()
        weight = self.rotation @ lower @ upper * self.log_scale.exp()
        return weight, weight @ self.shift

    def parameters_of(self, x):
        with torch.autocast(self.device, torch.bfloat16, enabled=self.half_precision):
            shift, raw = self.network(x).chunk(2, 1)
        return shift.float(), F.logsigmoid(raw.float() + 2)

    def forward(self, x):
        weight, bias = self.channel_map()
        x1, x2 = F.conv2d(x, weight[..., None, None], bias).chunk(2, 1)
        shift, log_scale = self.parameters_of(x1)
        pixels = x.shape[2] * x.shape[3]
        log_det = pixels * (self.log_scale.sum() + self.log_diagonal.sum()) + log_scale.flatten(1).sum(1)
        return torch.cat([x1, (x2 + shift) * log_scale.exp()], 1), log_det

    def inverse(self, y):
        y1, y2 = y.chunk(2, 1)
        shift, log_scale = self.parameters_of(y1)
        weight, bias = self.channel_map()
        inverse = torch.linalg.inv(weight)
        x = torch.cat([y1, y2 * (-log_scale).exp() - shift], 1)
        return F.conv2d(x, inverse[..., None, None], -inverse @ bias)


class TorchGlow(nn.Module):
    def __init__(self, options):
        super().__init__()
        self.options = options
        self.levels, self.splits = nn.ModuleList(), nn.ModuleList()
        channels = options.channels
        for level in range(options.levels):
            channels *= 4
            self.levels.append(nn.ModuleList(Step(channels, options) for _ in range(options.steps)))
            if level + 1 < options.levels:
                self.splits.append(nn.Conv2d(channels // 2, channels, 3, padding=1))
                channels //= 2
        self.top = (channels, options.size >> options.levels, options.size >> options.levels)

    def log_prob(self, x):
        total = 0
        for level, steps in enumerate(self.levels):
            x = F.pixel_unshuffle(x, 2)
            for step in steps:
                x, log_det = step(x)
                total = total + log_det
            if level < len(self.splits):
                x, z = x.chunk(2, 1)
                mean, log_std = self.splits[level](x).chunk(2, 1)
                white = (z - mean) * (-log_std).exp()
                total = total - (0.5 * (LN_2PI + white**2) + log_std).flatten(1).sum(1)
        return total - 0.5 * (LN_2PI + x**2).flatten(1).sum(1)

    def sample(self, count):
        x = torch.randn(count, *self.top, device=self.options.device)
        for level in reversed(range(len(self.levels))):
            if level < len(self.splits):
                mean, log_std = self.splits[level](x).chunk(2, 1)
                x = torch.cat([x, mean + log_std.exp() * torch.randn_like(mean)], 1)
            for step in reversed(self.levels[level]):
                x = step.inverse(x)
            x = F.pixel_shuffle(x, 2)
        return x


def finish(options):
    """Waits until the device has done what it was told."""
    if options.device == "cuda":
        torch.cuda.synchronize()


def peak_mb(options):
    if options.device == "cuda":
        return torch.cuda.max_memory_allocated() >> 20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def images_per_second(work, options):
    seconds = []
    for run in range(2 + options.iters):
        start = time.perf_counter()
        work()
        finish(options)
        seconds.append(time.perf_counter() - start)
    return round(options.batch_size / statistics.median(seconds[2:]), 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", choices=["nflows", "torch"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["f32", "tf32", "bf16"], default="f32")
    parser.add_argument("--compile", action="store_true")
    defaults = dict(levels=2, steps=16, width=128, batch_size=64, size=28, channels=1, iters=7)
    for name, value in defaults.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    options = parser.parse_args()

    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch sees no GPU")
    if options.library == "nflows" and options.precision == "bf16":
        parser.error("nflows runs in f32 or tf32")
    # PyTorch's own default differs between products and convolutions.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.precision == "tf32"

    torch.manual_seed(0)
    model = NflowsGlow(options) if options.library == "nflows" else TorchGlow(options)
    model = model.to(options.device)
    x = torch.rand(options.batch_size, options.channels, options.size, options.size, device=options.device)
    if options.library != "nflows":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    loss = lambda: -model.log_prob(x).mean()
    if options.compile:
        loss = torch.compile(loss)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)

    def train():
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    result = dict(levels=options.levels, steps=options.steps, width=options.width, batch=options.batch_size)
    result["threads"] = torch.get_num_threads()
    result["train_img_s"] = images_per_second(train, options)
    result["peak_mb"] = peak_mb(options)
    model.eval()
    with torch.no_grad():
        result["log_prob_img_s"] = images_per_second(lambda: model.log_prob(x), options)
        result["sample_img_s"] = images_per_second(lambda: model.sample(options.batch_size), options)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
