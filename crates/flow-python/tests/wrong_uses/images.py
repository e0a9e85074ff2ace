"""Wrong images, labels, latents and models of other programs."""

from __future__ import annotations

import numpy as np
from wrong_uses.table import row

import flow

# Images.
for name, exception, pattern, use in [
    ("pretrained", ValueError, "no pretrained model `cifar`, only `mnist` and `mnist-classes`", lambda _: flow.Glow.pretrained("cifar")),
    ("pretrained in half", ValueError, "dtype must be", lambda _: flow.Glow.pretrained("mnist", dtype="float16")),
    ("float images", TypeError, "images must hold uint8, from 0 to 255, not float64", lambda these: these.glow.log_prob(these.images / 255.0)),
    ("signed images", TypeError, "not int8", lambda these: these.glow.log_prob(these.images.astype(np.int8))),
    ("flat images", ValueError, "images must have the shape", lambda these: these.glow.log_prob(these.images[0, 0])),
    ("small images", ValueError, "images must have the shape", lambda these: these.glow.log_prob(these.images[..., :20])),
    ("colored images", ValueError, "images must have the shape", lambda these: these.glow.log_prob(np.repeat(these.images, 3, axis=1))),
    ("five dimensions", ValueError, "images must have the shape", lambda these: these.glow.log_prob(these.images[None])),
    ("labels without classes", ValueError, "no classes, and takes no label", lambda these: these.glow.log_prob(these.images, [1, 2])),
    ("few labels", ValueError, "one for each of 2 images", lambda these: these.digits.log_prob(these.images, [1])),
    ("label 10", ValueError, "no class 10 of 10", lambda these: these.digits.log_prob(these.images, 10)),
    ("label -1", ValueError, "labels must be classes from 0", lambda these: these.digits.log_prob(these.images, -1)),
    ("half a label", TypeError, "labels must be whole numbers", lambda these: these.digits.log_prob(these.images, 1.5)),
    ("text label", TypeError, "labels must be whole numbers", lambda these: these.digits.log_prob(these.images, "cat")),
    ("condition", ValueError, "takes no condition", lambda these: these.digits.log_prob(these.images, condition=[[1.0], [2.0]])),
    ("labels and condition", ValueError, "not both", lambda these: these.digits.log_prob(these.images, 1, condition=[[1.0]])),
    ("posterior without classes", ValueError, "class posteriors need a model with classes", lambda these: these.glow.class_posterior(these.images)),
    ("no images drawn", ValueError, "count must be from 1", lambda these: these.glow.sample(0)),
    ("more images than memory", MemoryError, "Unable to allocate", lambda these: these.glow.sample(2**39)),
    ("cold", ValueError, "temperature", lambda these: these.glow.sample(1, temperature=-1.0)),
    ("NaN temperature", ValueError, "temperature must be finite", lambda these: these.glow.sample(1, temperature=np.nan)),
    ("no latents", ValueError, "latents must have . levels, not 0", lambda these: these.glow.decode([])),
    ("misshapen latents", ValueError, "the latent of level 0 must have the shape", lambda these: these.glow.decode([np.zeros((1, 2)), np.zeros((1, 2))])),
    ("unequal latents", ValueError, "of the same number of images", lambda these: these.glow.decode([np.zeros((1, 2)), np.zeros((3, 2))])),
    ("unfitted Glow", (ValueError, AttributeError), "not fitted yet", lambda _: flow.Glow().sample()),
    ("unknown preset", ValueError, "preset must be small, base or paper", lambda _: flow.Glow(preset="huge").fit(np.zeros((64, 8, 8), np.uint8))),
    ("few images", ValueError, "3 images are fewer than one batch of 32", lambda _: flow.Glow().fit(np.zeros((3, 8, 8), np.uint8))),
    ("odd images", ValueError, "both sides must be even", lambda _: flow.Glow(levels=2).fit(np.zeros((64, 7, 7), np.uint8))),
    ("no epochs", ValueError, "epochs must be from 1", lambda _: flow.Glow().fit(np.zeros((64, 8, 8), np.uint8), epochs=0)),
    ("nine bits", ValueError, "bits must be from 1 to 8", lambda _: flow.Glow(bits=9).fit(np.zeros((64, 8, 8), np.uint8))),
    ("convert a missing file", (OSError, ValueError), "missing", lambda these: flow.convert(these.folder / "missing")),
    ("convert a text", ValueError, "text", lambda these: flow.convert(these.folder / "text")),
    ("convert a number", TypeError, "source must be a path or a state dict", lambda _: flow.convert(3)),
    ("convert by unknown facts", ValueError, "unknown field `depth`", lambda these: flow.convert(these.file, depth=3)),
    ("export for nobody", ValueError, "there is no program `zuko`", lambda these: flow.export(these.glow, "zuko", these.folder / "x")),
    ("export a number", TypeError, "glow must be a Glow", lambda these: flow.export(3, "nflows", these.folder / "x")),
]:
    row(name, exception, pattern, use)
