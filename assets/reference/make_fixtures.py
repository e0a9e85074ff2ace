"""Writes the fixtures beside this script: `python make_fixtures.py --clones DIR` (see peers.py and README.md).

NAME.pt is a state dict of a small model at random parameters, NAME.json what the file does not tell, and
NAME.expected.safetensors what the peer computes, in double precision: log_prob of x, and x_from_z of z_in.
"""

import argparse
import datetime
import enum
import functools
import json
from collections import OrderedDict, defaultdict
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from safetensors.torch import save_file

from peers import build

HERE = Path(__file__).parent
COUNT = 3

# The form of the file: the format before PyTorch 1.6 or the zip, the prefix of DataParallel, a wrapping key.
FIXTURES = {
    "nflows-gain": ("nflows", dict(levels=2, steps=2, channels=1), {}, {}),
    "nflows-nsf": ("nflows", dict(levels=2, steps=1, channels=3),
                   dict(gain=False, mask="half", end=True, pixels=True), dict(legacy=True)),
    "nflows-softplus": ("nflows", dict(levels=1, steps=2, channels=1), dict(softplus=True), dict(prefix=True)),
    "nflows-additive": ("nflows", dict(levels=2, steps=1, channels=1), dict(additive=True), {}),
    "normflows-lu": ("normflows", dict(levels=3, steps=1, channels=1), {}, dict(legacy=True)),
    "normflows-plain": ("normflows", dict(levels=2, steps=2, channels=1),
                        dict(lu=False, scale_map="exp", classes=3), {}),
    "normflows-base": ("normflows", dict(levels=2, steps=1, channels=3),
                       dict(base="glow", classes=2, scale_map="sigmoid_inv", net_actnorm=True,
                            split_mode="channel_inv"), dict(legacy=True)),
    "normflows-additive": ("normflows", dict(levels=1, steps=2, channels=1), dict(additive=True), {}),
    "rosinality-lu": ("rosinality", dict(levels=2, steps=2, channels=1), {}, {}),
    "rosinality-plain": ("rosinality", dict(levels=2, steps=1, channels=3), dict(lu=False, affine=False),
                         dict(legacy=True, prefix=True)),
    "y0ast-lu": ("y0ast", dict(levels=2, steps=2, channels=1), dict(classes=3), dict(wrap="model")),
    "y0ast-plain": ("y0ast", dict(levels=3, steps=1, channels=1), dict(lu=False, affine=False, learn_top=False),
                    dict(legacy=True)),
    "chrischute": ("chrischute", dict(levels=2, steps=2, channels=3), {},
                   dict(legacy=True, prefix=True, wrap="net")),
}

# What flags say that neither the state dict nor the sizes do.
FACTS = {
    "nflows-softplus": dict(scale_map="softplus"),
    "normflows-plain": dict(scale_map="exp"),
    "normflows-base": dict(scale_map="sigmoid-inverse", passing="second-half"),
}


@torch.no_grad()
def randomize(module):
    """Moves every parameter from its start, makes determinants negative, and pretends that training has begun."""
    for name, parameter in module.named_parameters():
        # What a 3x3 convolution of many numbers predicts is soon enormous.
        parameter.add_((0.03 if parameter.shape[2:] == (3, 3) else 0.15) * torch.randn_like(parameter))
        if name.endswith(("invconv.weight", "flows.1.W", "steps.0.conv.weight")):
            if torch.linalg.det(parameter.flatten(1)) > 0:
                parameter[0] *= -1
        if name.endswith("actnorm.scale"):
            parameter[0, 1] *= -1
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.3)
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
        if name.endswith(("s_sign", "sign_S", "sign_s")):
            buffer[0] *= -1
        if name.endswith(("initialized", "data_dep_init_done")):
            buffer.fill_(1)


def save(name, state, legacy=False, prefix=False, wrap=None):
    if prefix:
        state = OrderedDict((f"module.{key}", value) for key, value in state.items())
    if wrap:
        state = {"epoch": 7, "test_loss": 1.25, wrap: state, "optimizer": {"state": {0: torch.ones(2)}, "lr": None}}
    torch.save(state, HERE / f"{name}.pt", _use_new_zipfile_serialization=not legacy)


def make(name, clones):
    kind, sizes, settings, form = FIXTURES[name]
    sizes = dict(hidden=4, size=8, **sizes)
    torch.manual_seed(sorted(FIXTURES).index(name))
    peer = build(kind, clones, **sizes, **settings)
    randomize(peer.module)
    peer.module.eval()
    # As they are in the file, before anything is widened.
    save(name, OrderedDict((key, value.clone()) for key, value in peer.module.state_dict().items()), **form)
    facts = dict(kind=kind, **sizes, **FACTS.get(name, {}))
    (HERE / f"{name}.json").write_text(json.dumps(facts) + "\n")

    peer.module.double()
    labels = torch.arange(COUNT) % settings["classes"] if settings.get("classes") else None
    x = torch.rand(COUNT, sizes["channels"], 8, 8)
    z = peer.latents(COUNT)
    torch.set_default_dtype(torch.float64)
    with torch.no_grad():
        log_prob = peer.log_prob(x.double(), labels)
        x_from_z = peer.decode({key: value.double() for key, value in z.items()}, labels)
    torch.set_default_dtype(torch.float32)
    tensors = dict(x=x, log_prob=log_prob.float(), x_from_z=x_from_z.float(), **z)
    if labels is not None:
        tensors["labels"] = labels
    save_file({key: value.contiguous() for key, value in tensors.items()}, HERE / f"{name}.expected.safetensors")
    print(name, log_prob.tolist(), x_from_z.abs().max().item())


def make_storages():
    """Every type of storage, and views that are not dense."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 7
    state = OrderedDict(
        double=torch.tensor([1 / 3, -2e-300], dtype=torch.float64),
        float=base,
        half=torch.tensor([1.5, -65504.0, 6e-8]).half(),
        bfloat16=torch.tensor([1.5, -3e38]).bfloat16(),
        long=torch.tensor([-(2**40), 3]),
        int=torch.tensor([-(2**30), 3], dtype=torch.int32),
        short=torch.tensor([-300, 3], dtype=torch.int16),
        char=torch.tensor([-128, 3], dtype=torch.int8),
        byte=torch.tensor([255, 3], dtype=torch.uint8),
        bool=torch.tensor([True, False]),
        scalar=torch.tensor(2.5),
        transposed=base.t(),
        part=base[1:3, 2:5],
        every_other=base[::2, 1::3],
        empty=torch.zeros(0, 3),
        parameter=torch.nn.Parameter(torch.tensor([4.0])),
    )
    torch.save(state, HERE / "storages.pt")
    torch.save(state, HERE / "storages-legacy.pt", _use_new_zipfile_serialization=False)
    dense = {key: value.detach().double().contiguous().clone() for key, value in state.items()}
    save_file(dense, HERE / "storages.expected.safetensors")


class Phase(enum.Enum):
    TRAIN = 1


class Tagged(torch.Tensor):
    """A subclass of a tensor."""


def foreign():
    """What trainings keep beside weights."""
    return dict(
        epoch=7,
        best=np.float64(1.25),
        history=np.arange(6.0).reshape(2, 3),
        args=argparse.Namespace(lr=1e-3, out=PurePosixPath("runs/1"), device=torch.device("cuda:0")),
        seen={1, 2, 3},
        when=datetime.datetime(2024, 2, 29, 12),
        counts=defaultdict(list, {"train": [1, 2]}),
        phase=Phase.TRAIN,
        activation=functools.partial(torch.nn.functional.relu, inplace=True),
        shape=torch.Size([1, 8, 8]),
        dtypes=[torch.float16, np.dtype("float32")],
        numbers=[1 + 2j, 2**80, -(2**40), float("nan"), None],
        texts=[b"\x00\xff", bytearray(b"abc"), "\u00fc\U0001f600", "\ud800"],
        module=torch.nn.Linear(2, 1),
        tensors=[torch.eye(2).to_sparse(), torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
                 torch.ones(2, dtype=torch.complex64), torch.ones(2).to(torch.float8_e4m3fn)],
        optimizer={"state": {0: {"exp_avg": torch.ones(2), "step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1}]},
    )


def make_wrapped():
    """The state dict of normflows-additive as trainings keep it, in each protocol."""
    torch.manual_seed(0)
    own = torch.load(HERE / "normflows-additive.pt")

    def below(prefix, factor=1.0):
        values = ((key, value * factor if key.endswith("bias") else value) for key, value in own.items())
        return OrderedDict((prefix + key, value) for key, value in values)

    def wrapped(name, value, protocol, legacy=False):
        torch.save(value, HERE / f"wrapped-{name}.pt", pickle_protocol=protocol,
                   _use_new_zipfile_serialization=not legacy)

    wrapped("lightning", {"state_dict": {**below("model."), "loss.weight": torch.ones(2)},
                          "hyper_parameters": argparse.Namespace(lr=1e-3), "callbacks": {}, **foreign()}, 2)
    wrapped("averaged", {"n_averaged": torch.tensor(5), **below("module._orig_mod.")}, 3, legacy=True)
    wrapped("ema", {**below("model."), **below("ema_model.", 0.5), "initted": torch.tensor(True)}, 4, legacy=True)
    subclass = OrderedDict((key, torch.nn.Parameter(value).as_subclass(Tagged) if value.is_floating_point() else value)
                           for key, value in own.items())
    state = {**subclass, "_extra_state": b"abc", "flows.0._extra_state": {"a": torch.ones(1)}, "steps": 5}
    wrapped("deep", {"run": argparse.Namespace(best=[{"weights": state}]), **foreign()}, 5)
    wrapped("foreign", {"model_state_dict": own, **foreign()}, 4, legacy=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clones", required=True)
    parser.add_argument("names", nargs="*", default=list(FIXTURES))
    arguments = parser.parse_args()
    for fixture in arguments.names:
        make(fixture, arguments.clones)
    make_storages()
    make_wrapped()
