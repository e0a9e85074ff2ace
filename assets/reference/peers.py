"""The Glows of other programs, small: how they are built, and what they compute.

nflows and normflows come from PyPI. The others are not packaged: `--clones DIR` names a folder with a clone of each,
`rosinality` (rosinality/glow-pytorch), `y0ast` (y0ast/Glow-PyTorch) and `chrischute` (chrischute/glow).
"""

import sys

import torch
from torch import nn


class ConvNet(nn.Module):
    """3x3, 1x1, 3x3, as users of nflows write it; with a gain after the last one, or without."""

    def __init__(self, inputs, hidden, outputs, gain):
        super().__init__()
        last = GainConv(hidden, outputs) if gain else nn.Conv2d(hidden, outputs, 3, padding=1)
        first, second = nn.Conv2d(inputs, hidden, 3, padding=1), nn.Conv2d(hidden, hidden, 1)
        self.net = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last)

    def forward(self, x, context=None):
        return self.net(x)


class GainConv(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.scale = nn.Parameter(torch.zeros(1, outputs, 1, 1))

    def forward(self, x):
        return self.conv(x) * torch.exp(3 * self.scale)


class Peer:
    """A model, and what it makes of images and latents in its own model space."""

    def __init__(self, module, log_prob, decode, latents):
        self.module, self.log_prob, self.decode, self.latents = module, log_prob, decode, latents


def nflows(levels, steps, hidden, size, channels, *, gain=True, mask="alternating", end=False, pixels=False,
           additive=False, softplus=False):
    from nflows import distributions, flows, transforms
    from nflows.utils import torchutils

    def coupling(c, step):
        bits = torchutils.create_mid_split_binary_mask(c)
        if mask == "alternating":
            bits = torchutils.create_alternating_binary_mask(c, even=step % 2 == 1)
        net = lambda i, o: ConvNet(i, hidden, o, gain)
        if additive:
            return transforms.AdditiveCouplingTransform(bits, net)
        coupling = transforms.AffineCouplingTransform(bits, net)
        if softplus:
            # Later versions call it GENERAL_SCALE_ACTIVATION.
            half = coupling.num_transform_features
            coupling._scale_and_shift = lambda h: (
                (nn.functional.softplus(h[:, half:]) + 1e-3).clamp(0, 3), h[:, :half])
        return coupling

    multiscale = transforms.MultiscaleCompositeTransform(levels)
    c, h, w = channels, size, size
    for _ in range(levels):
        squeeze = transforms.SqueezeTransform()
        c, h, w = squeeze.get_output_shape(c, h, w)
        members = [squeeze]
        for step in range(steps):
            members.append(transforms.CompositeTransform(
                [transforms.ActNorm(c), transforms.OneByOneConvolution(c), coupling(c, step)]))
        if end:
            members.append(transforms.OneByOneConvolution(c))
        c, h, w = multiscale.add_transform(transforms.CompositeTransform(members), (c, h, w)) or (c, h, w)
    transform = multiscale
    if pixels:
        scale = transforms.AffineScalarTransform(scale=1.0 / 256, shift=-0.5)
        transform = transforms.CompositeTransform([scale, multiscale])
    dimensions = channels * size * size
    flow = flows.Flow(transform, distributions.StandardNormal([dimensions]))

    def log_prob(x, labels):
        z, log_det = multiscale(x)
        return flow._distribution.log_prob(z) + log_det

    def latents(count):
        return {"z_in": torch.randn(count, dimensions)}

    return Peer(flow, log_prob, lambda z, labels: multiscale.inverse(z["z_in"])[0], latents)


def normflows(levels, steps, hidden, size, channels, *, lu=True, scale_map="sigmoid", additive=False, base="diagonal",
              classes=None, net_actnorm=False, split_mode="channel"):
    import normflows as nf

    bases, flow_levels, merges, shapes = [], [], [], []
    for level in range(levels):
        c = channels * 2 ** (levels + 1 - level)
        blocks = [nf.flows.GlowBlock(c, hidden, scale=not additive, scale_map=scale_map, split_mode=split_mode,
                                     use_lu=lu, net_actnorm=net_actnorm) for _ in range(steps)]
        flow_levels.append(blocks + [nf.flows.Squeeze()])
        side = size // 2 ** (levels - level)
        shape = (c // (2 if level > 0 else 1), side, side)
        if level > 0:
            merges.append(nf.flows.Merge())
        shapes.append(shape)
        if base == "glow":
            bases.append(nf.distributions.GlowBase(shape, classes))
        elif classes:
            bases.append(nf.distributions.ClassCondDiagGaussian(shape, classes))
        else:
            bases.append(nf.distributions.DiagGaussian(shape))
    model = nf.MultiscaleFlow(bases, flow_levels, merges, class_cond=classes is not None)

    def decode(z, labels):
        return model.forward_and_log_det([z[f"z_in.{level}"] for level in range(levels)])[0]

    def latents(count):
        return {f"z_in.{level}": torch.randn(count, *shape) for level, shape in enumerate(shapes)}

    return Peer(model, model.log_prob, decode, latents)


def rosinality(levels, steps, hidden, size, channels, *, lu=True, affine=True):
    import model as source

    source.AffineCoupling.__init__.__defaults__ = (hidden, True)
    glow = source.Glow(channels, steps, levels, affine=affine, conv_lu=lu)

    def log_prob(x, labels):
        log_p, log_det, _ = glow(x)
        return log_p + log_det

    def decode(z, labels):
        return glow.reverse([z[f"z_in.{level}"] for level in range(levels)])

    def latents(count):
        shapes = [(channels * 2 ** (l + (2 if l + 1 == levels else 1)), size >> (l + 1)) for l in range(levels)]
        return {f"z_in.{l}": torch.randn(count, c, side, side) for l, (c, side) in enumerate(shapes)}

    return Peer(glow, log_prob, decode, latents)


def y0ast(levels, steps, hidden, size, channels, *, lu=True, affine=True, learn_top=True, classes=None):
    import model as source
    from modules import gaussian_likelihood

    coupling = "affine" if affine else "additive"
    glow = source.Glow((size, size, channels), hidden, steps, levels, 1.0, "invconv", coupling, lu, classes, learn_top,
                       classes is not None)
    glow.set_actnorm_init()

    def prior(x, labels):
        one_hot = None if classes is None else nn.functional.one_hot(labels, classes).to(x.dtype)
        return glow.prior(x, one_hot)

    def log_prob(x, labels):
        z, objective = glow.flow(x, logdet=0.0)
        mean, logs = prior(x, labels)
        return objective + gaussian_likelihood(mean, logs, z)

    def decode(z, labels):
        """Of white latents of the top; those of the splits are drawn, and without spread are their means."""
        mean, logs = prior(z["z_in"], labels)
        return glow.flow(mean + logs.exp() * z["z_in"], reverse=True, temperature=0.0)

    def latents(count):
        side = size >> levels
        return {"z_in": torch.randn(count, channels * 2 ** (levels + 1), side, side)}

    return Peer(glow, log_prob, decode, latents)


def chrischute(levels, steps, hidden, size, channels):
    from models.glow.glow import Glow, squeeze

    glow = Glow(hidden, levels, steps)
    normal = torch.distributions.Normal(0.0, 1.0)

    def log_prob(x, labels):
        z, log_det = glow.flows(squeeze(x), torch.zeros(len(x), dtype=x.dtype))
        return normal.log_prob(z).flatten(1).sum(1) + log_det

    def decode(z, labels):
        z = squeeze(z["z_in"])
        return squeeze(glow.flows(z, torch.zeros(len(z), dtype=z.dtype), reverse=True)[0], reverse=True)

    return Peer(glow, log_prob, decode, lambda count: {"z_in": torch.randn(count, channels, size, size)})


PEERS = {"nflows": nflows, "normflows": normflows, "rosinality": rosinality, "y0ast": y0ast, "chrischute": chrischute}


def build(kind, clones=None, **settings):
    """A fresh model. Clones have modules of the same names, so one is importable at a time."""
    for name in ("model", "modules", "utils", "util", "models", "models.glow", "models.glow.glow"):
        sys.modules.pop(name, None)
    path = list(sys.path)
    if clones:
        sys.path.insert(0, f"{clones}/{kind}")
    try:
        return PEERS[kind](**settings)
    finally:
        sys.path[:] = path
