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


class BoundedScale(nn.Module):
    """What a network says of scales, bounded: bound * tanh(raw / bound). They stand in the odd channels, as in
    normflows, or in the second half, as in nflows."""

    def __init__(self, bound, odd):
        super().__init__()
        self.odd = odd
        self.register_buffer("bound", torch.tensor(bound))

    def forward(self, h):
        half = slice(1, None, 2) if self.odd else slice(h.shape[1] // 2, None)
        bounded = h.clone()
        bounded[:, half] = self.bound * torch.tanh(h[:, half] / self.bound)
        return bounded


class Peer:
    """A model, and what it makes of images and latents in its own model space."""

    def __init__(self, module, log_prob, decode, latents):
        self.module, self.log_prob, self.decode, self.latents = module, log_prob, decode, latents


def sides(size):
    """Height and width of images; one number if they are square."""
    return size if isinstance(size, (list, tuple)) else (size, size)


def steps_of(steps, last):
    """The steps of a level: `steps` is one number, or that of all levels but the last, and that of the last."""
    return steps[1 if last else 0] if isinstance(steps, (list, tuple)) else steps


def nflows(levels, steps, hidden, size, channels, *, gain=True, mask="alternating", end=False, pixels=False,
           additive=False, softplus=False, inverse=False, bound=None, split_prior=False, affine=False, classes=None):
    """The last five: couplings by e^raw, inverted; a bound of their scales; a convolution that predicts what a split
    takes out; a mean and a scale of each latent; and those of each class."""
    from nflows import distributions, flows, transforms
    from nflows.utils import torchutils

    class ExpCoupling(transforms.AffineCouplingTransform):
        """Later versions have the argument `scale_activation=torch.exp`."""

        def _scale_and_shift(self, h):
            half = self.num_transform_features
            return torch.exp(h[:, half:]), h[:, :half]

    def coupling(c, step):
        bits = torchutils.create_mid_split_binary_mask(c)
        if mask == "alternating":
            bits = torchutils.create_alternating_binary_mask(c, even=step % 2 == 1)

        def net(i, o):
            net = ConvNet(i, hidden, o, gain)
            if bound is not None:
                net.net.append(BoundedScale(bound, odd=False))
            return net

        if additive:
            return transforms.AdditiveCouplingTransform(bits, net)
        if inverse:
            return transforms.InverseTransform(ExpCoupling(bits, net))
        coupling = transforms.AffineCouplingTransform(bits, net)
        if softplus:
            # Later versions call it GENERAL_SCALE_ACTIVATION.
            half = coupling.num_transform_features
            coupling._scale_and_shift = lambda h: (
                (nn.functional.softplus(h[:, half:]) + 1e-3).clamp(0, 3), h[:, :half])
        return coupling

    class Predict(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.net = nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1))

        def forward(self, x, context=None):
            return self.net(x)

    multiscale = transforms.MultiscaleCompositeTransform(levels)
    c, (h, w) = channels, sides(size)
    dimensions = c * h * w
    for level in range(levels):
        squeeze = transforms.SqueezeTransform()
        c, h, w = squeeze.get_output_shape(c, h, w)
        members = [squeeze]
        for step in range(steps_of(steps, level + 1 == levels)):
            members.append(transforms.CompositeTransform(
                [transforms.ActNorm(c), transforms.OneByOneConvolution(c), coupling(c, step)]))
        if end:
            members.append(transforms.OneByOneConvolution(c))
        if split_prior and level + 1 < levels:
            bits = torchutils.create_mid_split_binary_mask(c)
            members.append(transforms.InverseTransform(ExpCoupling(bits, Predict)))
        c, h, w = multiscale.add_transform(transforms.CompositeTransform(members), (c, h, w)) or (c, h, w)
    body = multiscale
    if affine:
        each = transforms.PointwiseAffineTransform(torch.zeros(dimensions), torch.ones(dimensions))
        body = transforms.CompositeTransform([multiscale, each])
    transform = body
    if pixels:
        scale = transforms.AffineScalarTransform(scale=1.0 / 256, shift=-0.5)
        transform = transforms.CompositeTransform([scale, body])
    base = distributions.StandardNormal([dimensions])
    if classes:
        table = nn.Embedding(classes, 2 * dimensions)
        base = distributions.ConditionalDiagonalNormal([dimensions], context_encoder=table)
    flow = flows.Flow(transform, base)

    def log_prob(x, labels):
        z, log_det = body(x)
        return flow._distribution.log_prob(z, labels) + log_det

    def latents(count):
        return {"z_in": torch.randn(count, dimensions)}

    return Peer(flow, log_prob, lambda z, labels: body.inverse(z["z_in"])[0], latents)


def normflows(levels, steps, hidden, size, channels, *, lu=True, scale_map="sigmoid", additive=False, base="diagonal",
              classes=None, net_actnorm=False, split_mode="channel", bound=None, split_prior=False):
    """The last two: a bound of the scales; a convolution that predicts what a split takes out."""
    import normflows as nf

    def block(c):
        block = nf.flows.GlowBlock(c, hidden, scale=not additive, scale_map=scale_map, split_mode=split_mode,
                                   use_lu=lu, net_actnorm=net_actnorm)
        if bound is not None:
            block.flows[0].flows[1].param_map.net.append(BoundedScale(bound, odd=True))
        return block

    bases, flow_levels, merges, shapes = [], [], [], []
    height, width = sides(size)
    for level in range(levels):
        c = channels * 2 ** (levels + 1 - level)
        blocks = [block(c) for _ in range(steps_of(steps, level == 0))]
        if split_prior and level > 0:
            predict = nf.nets.ConvNet2d((c // 2, c), (3,))
            blocks.insert(0, nf.flows.AffineCouplingBlock(predict, scale_map="exp"))
        flow_levels.append(blocks + [nf.flows.Squeeze()])
        halvings = 2 ** (levels - level)
        shape = (c // (2 if level > 0 else 1), height // halvings, width // halvings)
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
        height, width = sides(size)
        shapes = [channels * 2 ** (l + (2 if l + 1 == levels else 1)) for l in range(levels)]
        return {f"z_in.{l}": torch.randn(count, c, height >> (l + 1), width >> (l + 1)) for l, c in enumerate(shapes)}

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
