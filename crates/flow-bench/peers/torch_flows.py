"""Flows of vectors of nflows, zuko and normflows, with networks of equal sizes, and one loop that trains them.

Networks have two residual blocks of width 64, or five hidden layers of 64 where a library has no residual ones there:
the same number of parameters. LU maps are where a library's own spline flow has them.
"""

import time

import nflows
import normflows as nf
import torch
import zuko
from nflows import distributions, flows, transforms
from nflows.nn import nets


def of_nflows(flow, features, context, sizes):
    network = lambda inputs, outputs: nets.ResidualNet(
        inputs, outputs, hidden_features=sizes.width, num_blocks=sizes.blocks, context_features=context
    )
    made = dict(features=features, hidden_features=sizes.width, num_blocks=sizes.blocks, context_features=context)
    spline = dict(num_bins=sizes.bins, tails="linear", tail_bound=sizes.bound)
    parts = []
    for index in range(sizes.layers):
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

    def sample(count, context):
        drawn = flow.sample(count, context)
        return drawn if context is None else drawn.transpose(0, 1)

    return flow, flow.log_prob, sample


def of_zuko(flow, features, context, sizes):
    """Splines lie on [-5, 5], as is its rule."""
    shared = dict(features=features, context=context or 0, transforms=sizes.layers)
    masked = dict(hidden_features=[sizes.width] * sizes.blocks, residual=True)
    plain = dict(hidden_features=[sizes.width] * sizes.plain_depth)
    spline = dict(
        univariate=zuko.transforms.MonotonicRQSTransform, shapes=[(sizes.bins,), (sizes.bins,), (sizes.bins - 1,)]
    )
    flow = {
        "nsf": lambda: zuko.flows.NICE(**shared, **plain, **spline),
        "nsf-ar": lambda: zuko.flows.NSF(bins=sizes.bins, **shared, **masked),
        "maf": lambda: zuko.flows.MAF(**shared, **masked),
        "realnvp": lambda: zuko.flows.RealNVP(**shared, **plain),
    }[flow]()
    return flow, lambda x, context: flow(context).log_prob(x), lambda count, context: flow(context).sample((count,))


def of_normflows(flow, features, context, sizes):
    """Its masked affine flow draws in one pass; `Reverse` makes it score in one, as the others do."""
    size = dict(num_blocks=sizes.blocks, num_hidden_channels=sizes.width, num_context_channels=context)
    spline = dict(num_bins=sizes.bins, tail_bound=sizes.bound)
    half = (features + 1) // 2
    widths = [half, *[sizes.width] * sizes.plain_depth, 2 * (features - half)]
    parts = []
    for index in range(sizes.layers):
        parts += {
            "nsf": lambda: [
                nf.flows.CoupledRationalQuadraticSpline(features, **size, **spline),
                nf.flows.LULinearPermute(features),
            ],
            "nsf-ar": lambda: [
                nf.flows.AutoregressiveRationalQuadraticSpline(features, **size, **spline),
                nf.flows.LULinearPermute(features),
            ],
            "maf": lambda: [
                nf.flows.Reverse(nf.flows.MaskedAffineAutoregressive(features, sizes.width, num_blocks=sizes.blocks)),
                nf.flows.Permute(features, mode="swap"),
            ],
            "realnvp": lambda: [
                nf.flows.AffineCouplingBlock(nf.nets.MLP(widths, init_zeros=True)),
                nf.flows.Permute(features, mode="swap"),
                nf.flows.ActNorm(features),
            ],
        }[flow]()
    base = nf.distributions.DiagGaussian(features, trainable=False)
    if context is None:
        flow = nf.NormalizingFlow(base, parts)
        return flow, lambda x, _: flow.log_prob(x), lambda count, _: flow.sample(count)[0]
    base = nf.distributions.base.ConditionalDiagGaussian(features, lambda c: torch.zeros(len(c), 2 * features))
    flow = nf.ConditionalNormalizingFlow(base, parts)

    def sample(count, context):
        each = context.repeat(count, 1)
        return flow.sample(len(each), each)[0].unflatten(0, (count, -1))

    return flow, flow.log_prob, sample


BUILD = dict(nflows=of_nflows, zuko=of_zuko, normflows=of_normflows)


class TorchFlow:
    """A flow of one of the libraries; arrays are NumPy's."""

    def __init__(self, library, flow, features, context, sizes, seed, threads):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        self.module, self._log_prob, self._sample = BUILD[library](flow, features, context, sizes)
        self.parameters = sum(p.numel() for p in self.module.parameters() if p.requires_grad)

    def fit(self, x, context, steps, batch, lr, limit):
        """Trains for `steps`, or for `limit` seconds; returns seconds, those of compiling, and the steps done."""
        x, context = tensor(x), tensor(context)
        at = lambda rows: (x[rows], None if context is None else context[rows])
        with torch.no_grad():
            self._log_prob(*at(slice(batch)))  # ActNorm takes its statistics
        optimizer = torch.optim.Adam(self.module.parameters(), lr=lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        start, done = time.perf_counter(), 0
        while True:
            for rows in torch.randperm(len(x)).split(batch):
                if done == steps or time.perf_counter() - start > limit:
                    return time.perf_counter() - start, 0.0, done
                loss = -self._log_prob(*at(rows)).mean()
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.module.parameters(), 5.0)
                optimizer.step()
                schedule.step()
                done += 1

    def log_prob(self, x, context):
        """ln p of rows in runs, `[N]`."""
        self.module.eval()
        context = [None] * len(x) if context is None else context
        runs = range(0, len(x), 10_000)
        with torch.no_grad():
            found = [self._log_prob(*(tensor(part[i : i + 10_000]) for part in (x, context))) for i in runs]
        return torch.cat(found).double().numpy()

    def sample(self, count, context=None):
        """Draws: `[count, D]`, or `[count, m, D]` of m contexts."""
        self.module.eval()
        with torch.no_grad():
            return self._sample(count, tensor(context)).numpy()

    def ready(self, count):
        """Nothing to compile."""


def tensor(x):
    return None if x is None or x[0] is None else torch.from_numpy(x)
