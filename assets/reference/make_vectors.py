"""Writes the fixtures in vectors/: `python make_vectors.py`, with torch, nflows, normflows, zuko, scipy and safetensors.

Each file holds the parameters of a small bijection of vectors under the names that flow-core has for them, at random
values, and what the library computes on them in double precision: y and log_det of x, and x_from_z of z; of base
distributions and of a flow under a context log_prob of x.
"""

import math
from pathlib import Path

import numpy as np
import scipy.stats
import torch
import zuko
from nflows import transforms
from nflows.distributions import StandardNormal
from nflows.flows import Flow
from nflows.nn.nets import ResidualNet
from nflows.transforms.splines import rational_quadratic_spline, unconstrained_rational_quadratic_spline
from normflows.flows import Planar, Radial
from normflows.utils.splines import unconstrained_rational_quadratic_spline as normflows_spline
from safetensors.torch import save_file

FOLDER = Path(__file__).parent / "vectors"
COUNT, FEATURES, CONTEXT, WIDTH, BLOCKS, BINS, BOUND = 16, 5, 3, 12, 2, 8, 3.0


def inputs(features=FEATURES):
    # Wide enough for the tails of the splines.
    return 1.5 * torch.randn(COUNT, features)


def network(prefix, state, order=None, scale=None):
    """A ResidualNet or MADE under our names; the rows of its last layer in another order, and scaled."""
    names = {"initial_layer": "input", "final_layer": "output"}
    names |= {f"blocks.{b}.linear_layers.{i}": f"block{b}.{i}" for b in range(BLOCKS) for i in range(2)}
    if f"{prefix}.blocks.0.context_layer.weight" in state:
        names |= {f"blocks.{b}.context_layer": f"context{b + 1}" for b in range(BLOCKS)}
    params = {}
    for theirs, ours in names.items():
        for part in ("weight", "bias"):
            value = state[f"{prefix}.{theirs}.{part}"]
            if ours == "output" and order is not None:
                value = value[order]
            if ours == "output" and scale is not None:
                value = value * scale.reshape(-1, *[1] * (value.dim() - 1))
            params[f"{ours}.{part}"] = value
    if "context1.weight" in params:
        # The first layer of nflows takes both side by side, with one bias.
        count = params["input.weight"].shape[1] - params["context1.weight"].shape[1]
        params["context0.weight"] = params["input.weight"][:, count:]
        params["context0.bias"] = torch.zeros(WIDTH)
        params["input.weight"] = params["input.weight"][:, :count]
    return params


@torch.no_grad()
def randomize(module):
    for parameter in module.parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))


@torch.no_grad()
def save(name, module, params):
    x, z = inputs(), inputs()
    y, log_det = module.forward(x)
    x_from_z, _ = module.inverse(z)
    write(name, dict(params, x=x, y=y, log_det=log_det, z=z, x_from_z=x_from_z))


def write(name, tensors):
    tensors = {key: value.detach().double().contiguous() for key, value in tensors.items()}
    save_file(tensors, FOLDER / f"{name}.safetensors")
    print(name, ", ".join(sorted(tensors)))


def coupling(name, make, scaled):
    # Numbers 0, 2, 4 are transformed.
    mask = torch.tensor([1, 0, 1, 0, 1])
    net = lambda i, o: ResidualNet(i, o, hidden_features=WIDTH, num_blocks=BLOCKS)
    module = make(mask, net)
    randomize(module)
    scale = spline_scale(3) if scaled else None
    save(name, module, network("transform_net", module.state_dict(), scale=scale))


def spline_scale(numbers):
    """nflows divides widths and heights by the root of the width of the network."""
    scale = torch.ones(3 * BINS - 1)
    scale[: 2 * BINS] = WIDTH**-0.5
    return scale.repeat(numbers)


@torch.no_grad()
def conditional_flow():
    net = lambda i, o: ResidualNet(i, o, hidden_features=WIDTH, num_blocks=BLOCKS, context_features=CONTEXT)
    # A mask of 0 and 1 in turn transforms numbers 1 and 3.
    mask = torch.tensor([0, 1, 0, 1, 0])
    spline = transforms.PiecewiseRationalQuadraticCouplingTransform(
        mask, net, num_bins=BINS, tails="linear", tail_bound=BOUND
    )
    parts = [spline, transforms.ReversePermutation(FEATURES), transforms.AffineCouplingTransform(1 - mask, net)]
    flow = Flow(transforms.CompositeTransform(parts), StandardNormal([FEATURES]))
    randomize(flow)
    params = {}
    for index, scale in ((0, spline_scale(2)), (2, None)):
        part = network("transform_net", parts[index].state_dict(), scale=scale)
        params |= {f"{index}.{name}": value for name, value in part.items()}
    x, z, context = inputs(), inputs(), inputs(CONTEXT)
    y, log_det = flow._transform(x, context)
    x_from_z, _ = flow._transform.inverse(z, context)
    log_prob = flow.log_prob(x, context)
    write("conditional-flow", dict(params, x=x, y=y, log_det=log_det, z=z, x_from_z=x_from_z,
                                   context=context, log_prob=log_prob))


def autoregressive(name, module, order=None):
    randomize(module)
    save(name, module, network("autoregressive_net", module.state_dict(), order=order))


def spline():
    x, z = 2 * inputs(3), 2 * inputs(3)
    h = torch.randn(COUNT, 3, 3 * BINS - 1)
    parts = (h[..., :BINS], h[..., BINS : 2 * BINS], h[..., 2 * BINS :])
    run = lambda x, inverse: unconstrained_rational_quadratic_spline(
        x, *parts, inverse=inverse, tails="linear", tail_bound=BOUND
    )
    (y, log_det), (x_from_z, _) = run(x, False), run(z, True)
    write("spline", dict(h=h.flatten(1), x=x, y=y, log_det=log_det.sum(1), z=z, x_from_z=x_from_z))


def lu_linear():
    module = transforms.LULinear(FEATURES)
    randomize(module)
    lower, upper = module._create_lower_upper()
    # torch.triangular_solve, which nflows calls, is gone.
    module.inverse = lambda z: (torch.linalg.solve(lower @ upper, (z - module.bias).t()).t(), None)
    save("lu-linear", module, dict(lower=lower, upper=upper, log_scale=upper.diag().log(), bias=module.bias))


def householder():
    module = transforms.HouseholderSequence(FEATURES, 3)
    randomize(module)
    save("householder", module, dict(vectors=module.q_vectors))


def pointwise():
    from torch.distributions import transforms as t

    for name, transform in dict(sigmoid=t.SigmoidTransform(), softplus=t.SoftplusTransform(),
                                exp=t.ExpTransform(), tanh=t.TanhTransform()).items():
        # Not where the inverse of tanh loses most digits of single precision.
        x = 0.4 * inputs()
        y = transform(x)
        log_det = transform.log_abs_det_jacobian(x, y).sum(1)
        write(name, dict(x=x, y=y, log_det=log_det, z=y.clone(), x_from_z=x.clone()))


def bases():
    mean, log_std, x = torch.randn(1, 4), 0.3 * torch.randn(1, 4), torch.randn(COUNT, 4)
    normal = zuko.distributions.DiagNormal(mean[0], log_std[0].exp())
    write("diagonal-gaussian", dict(mean=mean, log_std=log_std, x=x, log_prob=normal.log_prob(x)))
    logits, means, log_stds = torch.randn(3), torch.randn(3, 4), 0.3 * torch.randn(3, 4)
    parts = zuko.distributions.DiagNormal(means, log_stds.exp())
    mixture = zuko.distributions.Mixture(parts, logits)
    write("gaussian-mixture", dict(logits=logits, means=means, log_stds=log_stds, x=x, log_prob=mixture.log_prob(x)))
    box = zuko.distributions.BoxUniform(-torch.ones(4) * 1.5, torch.ones(4))
    inside = torch.rand(COUNT, 4) * 2.5 - 1.5
    write("uniform", dict(x=inside, log_prob=box.log_prob(inside)))


def uniform(low, high, features=3):
    return low + (high - low) * torch.rand(COUNT, features)


def interval_splines():
    """A circle's spline by normflows, and one with free ends by nflows."""
    circle = lambda x, inverse, w, h, d: normflows_spline(
        x, w, h, d, inverse=inverse, tails="circular", tail_bound=math.pi
    )
    free = lambda x, inverse, w, h, d: rational_quadratic_spline(
        x, w, h, d, inverse=inverse, left=-1.0, right=2.0, bottom=-1.0, top=2.0
    )
    for name, run, derivatives, low, high in (
        ("circular-spline", circle, BINS, -math.pi, math.pi),
        ("interval-spline", free, BINS + 1, -1.0, 2.0),
    ):
        x, z = uniform(low, high), uniform(low, high)
        h = torch.randn(COUNT, 3, 2 * BINS + derivatives)
        parts = torch.split(h, [BINS, BINS, derivatives], dim=-1)
        (y, log_det), (x_from_z, _) = run(x, False, *parts), run(z, True, *parts)
        write(name, dict(h=h.flatten(1), x=x, y=y, log_det=log_det.sum(1), z=z, x_from_z=x_from_z))


def planar_and_radial():
    """Neither has an inverse in normflows: x is that of y."""
    planar, radial = Planar((FEATURES,)), Radial((FEATURES,))
    randomize(planar)
    randomize(radial)
    softplus_inverse = torch.log(torch.expm1(radial.alpha.abs()))
    for name, module, params in (
        ("planar", planar, dict(u=planar.u, w=planar.w, b=planar.b)),
        ("radial", radial, dict(center=radial.z_0, alpha=softplus_inverse, beta=radial.beta)),
    ):
        x = inputs()
        y, log_det = module.forward(x)
        write(name, dict(params, x=x, y=y, log_det=log_det, z=y.clone(), x_from_z=x.clone()))


def columns():
    from torch.distributions import transforms as t

    interval = t.ComposeTransform([t.SigmoidTransform(), t.AffineTransform(-2.0, 5.0)])
    power = zuko.transforms.SignedPowerTransform(torch.tensor(0.6).log())
    shift = zuko.transforms.CircularShiftTransform(math.pi)
    for name, transform, x in (
        ("interval", interval, inputs()),
        ("power", power, inputs()),
        ("circular-shift", shift, uniform(-math.pi, math.pi, FEATURES)),
    ):
        y = transform(x)
        log_det = transform.log_abs_det_jacobian(x, y).sum(1)
        write(name, dict(x=x, y=y, log_det=log_det, z=y.clone(), x_from_z=x.clone()))
    x = inputs().requires_grad_()
    positive = torch.where(x >= 0, x, 0.0)
    negative = torch.where(x < 0, -x, 0.0)
    y = ((1 + positive) ** 0.7 - 1) / 0.7 - ((1 + negative) ** 1.3 - 1) / 1.3
    assert np.allclose(y.detach(), scipy.stats.yeojohnson(x.detach().numpy(), 0.7))
    (slope,) = torch.autograd.grad(y.sum(), x)
    write("yeo-johnson", dict(x=x, y=y, log_det=slope.log().sum(1), z=y.clone(), x_from_z=x.clone()))


def monotonic_network():
    """By the formula of the paper as it stands, and torch's gradient."""
    units, x = 4, inputs(3).requires_grad_()
    h = torch.randn(COUNT, 3, 3 * units)
    a, b, w = torch.split(h, units, dim=-1)
    a, w = torch.nn.functional.softplus(a) + 1e-3, torch.softmax(w, dim=-1)
    y = torch.logit((w * torch.sigmoid(a * x[..., None] + b)).sum(-1))
    (slope,) = torch.autograd.grad(y.sum(), x)
    write("monotonic-network", dict(h=h.flatten(1), x=x, y=y, log_det=slope.log().sum(1),
                                    z=y.clone(), x_from_z=x.clone()))


def scipy_bases():
    t = lambda freedom: lambda x: scipy.stats.t.logpdf(x, freedom)
    circle = lambda mean, kappa: lambda x: scipy.stats.vonmises.logpdf(x - mean, kappa)
    for name, log_density, scale in (
        ("student-t-1", t(1.0), 10.0),
        ("student-t-3.5", t(3.5), 10.0),
        ("student-t-1000", t(1000.0), 3.0),
        ("laplace", scipy.stats.laplace.logpdf, 10.0),
        ("logistic", scipy.stats.logistic.logpdf, 10.0),
        ("von-mises-0.01", circle(0.5, 0.01), math.pi),
        ("von-mises-3", circle(-1.0, 3.0), math.pi),
        ("von-mises-39", circle(0.5, 39.0), 0.5),
        ("von-mises-41", circle(0.5, 41.0), 0.5),
        ("von-mises-5000", circle(0.5, 5000.0), 0.1),
    ):
        x = uniform(-scale, scale, 2)
        write(name, dict(x=x, log_prob=torch.from_numpy(log_density(x.numpy())).sum(1)))
    low, high = np.array([-1.0, 2.0]), np.array([1.0, 7.0])
    # Some beyond the box.
    x = torch.from_numpy(low) + torch.from_numpy(high - low) * uniform(-0.1, 1.1, 2)
    inside = scipy.stats.uniform.logpdf(x.numpy(), low, high - low).sum(1)
    write("box-uniform", dict(x=x, log_prob=torch.from_numpy(inside)))


def main():
    FOLDER.mkdir(exist_ok=True)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    made = dict(features=FEATURES, hidden_features=WIDTH, num_blocks=BLOCKS)
    bins = dict(num_bins=BINS, tails="linear", tail_bound=BOUND)
    spline()
    coupling("affine-coupling", transforms.AffineCouplingTransform, False)
    coupling("additive-coupling", transforms.AdditiveCouplingTransform, False)
    coupling("spline-coupling",
             lambda mask, net: transforms.PiecewiseRationalQuadraticCouplingTransform(mask, net, **bins), True)
    # nflows has scale and shift of each number side by side.
    order = torch.cat([torch.arange(1, 2 * FEATURES, 2), torch.arange(0, 2 * FEATURES, 2)])
    autoregressive("affine-maf", transforms.MaskedAffineAutoregressiveTransform(**made), order)
    autoregressive("spline-maf",
                   transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(**made, **bins))
    lu_linear()
    householder()
    pointwise()
    bases()
    conditional_flow()
    torch.manual_seed(1)
    interval_splines()
    planar_and_radial()
    columns()
    monotonic_network()
    scipy_bases()


if __name__ == "__main__":
    main()
