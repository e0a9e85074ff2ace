"""Glows: densities, latents, draws, classes, trainings, other programs."""

from __future__ import annotations

import os
import pickle
import signal
import threading

import numpy as np
import pytest
from conftest import ROOT

import flow

PEERS = ROOT / "assets" / "reference"


@pytest.fixture(scope="module")
def glow():
    return flow.Glow.pretrained("mnist")


@pytest.fixture(scope="module")
def digits():
    return flow.Glow.pretrained("mnist-classes")


@pytest.fixture(scope="module")
def images(digits):
    return digits.sample(20, temperature=0.7)


def test_draws_are_those_of_the_command_line(glow, digits, cli, tmp_path):
    shipped = ROOT / "assets" / "models"
    for model, name, options in [(glow, "mnist", []), (digits, "mnist-classes", ["--class", 3])]:
        out = tmp_path / "drawn.npz"
        options = ["--checkpoint", shipped / f"{name}.safetensors", *options]
        common = ["--count", 4, "--seed", 5, "--temperature", 0.8, "--out-tensor", out]
        cli("sample", *options, *common, "--out", tmp_path / "grid.png")
        drawn = model.sample(4, temperature=0.8, seed=5, label=3 if model.classes else None)
        np.testing.assert_array_equal(drawn, np.load(out)["x"])


def test_bits_per_dim_are_nats_over_dimensions(glow, images):
    bits, nats = glow.bits_per_dim(images), glow.log_prob(images)
    np.testing.assert_allclose(bits, -nats / (np.log(2.0) * 28 * 28), rtol=1e-12)
    assert 0.5 < bits.mean() < 3.0
    noisy = np.random.default_rng(0).integers(0, 256, images.shape, dtype=np.uint8)
    assert (glow.bits_per_dim(noisy) > bits.max()).all()
    other = glow.bits_per_dim(images, random_state=1)
    assert (other != bits).all()
    np.testing.assert_allclose(other, bits, atol=0.2)


def test_images_without_channels_are_gray(glow, images):
    np.testing.assert_array_equal(glow.log_prob(images[:, 0]), glow.log_prob(images))
    strided = np.repeat(images, 2, axis=3)[..., ::2]
    np.testing.assert_array_equal(glow.log_prob(strided), glow.log_prob(images))


def test_double_precision_gives_back_every_pixel(images):
    glow = flow.Glow.pretrained("mnist", dtype="float64")
    latents = glow.encode(images)
    assert [latent.shape[0] for latent in latents] == [20] * len(latents)
    assert all(latent.dtype == np.float64 for latent in latents)
    assert sum(latent[0].size for latent in latents) == 28 * 28
    np.testing.assert_array_equal(glow.decode(latents), images)


def test_classes_are_found_and_condition(digits, images):
    labels = np.arange(20) % 10
    posterior = digits.class_posterior(images)
    assert posterior.shape == (20, 10)
    # Exponentials of differences of ln p ~ 1000, of which float32 has 6e-5.
    np.testing.assert_allclose(posterior.sum(1), 1.0, atol=2e-4)
    assert (posterior.argmax(1) == labels).mean() > 0.8
    own, other = (digits.log_prob(images, given) for given in (labels, (labels + 1) % 10))
    assert (own > other).mean() > 0.8
    mixture = digits.log_prob(images)
    ten = np.stack([digits.log_prob(images, label) for label in range(10)])
    expected = np.logaddexp.reduce(ten, axis=0) - np.log(10.0)
    np.testing.assert_allclose(mixture, expected, rtol=1e-5)
    latents = digits.encode(images, labels)
    back = digits.decode(latents, labels)
    assert (back != images).mean() < 1e-3


def tensors(path):
    """The bytes behind the header of a safetensors file."""
    content = path.read_bytes()
    return content[8 + int.from_bytes(content[:8], "little") :]


def test_files_and_pickles_are_those_of_the_repository(glow, digits, tmp_path):
    for model, name in [(glow, "mnist"), (digits, "mnist-classes")]:
        path = ROOT / "assets" / "models" / f"{name}.safetensors"
        saved, again = tmp_path / "saved.safetensors", tmp_path / "again.safetensors"
        model.save(saved)
        flow.Glow.load(saved).save(again)
        # The files of the repository are older than the digest in a header.
        assert tensors(saved) == tensors(path)
        assert again.read_bytes() == saved.read_bytes()
        for again in (flow.Glow.load(path), pickle.loads(pickle.dumps(model))):
            np.testing.assert_array_equal(again.sample(2), model.sample(2))
            assert (again.shape, again.classes) == (model.shape, model.classes)


def bars(count=256):
    """Images of bright bars, whose class says if they stand or lie."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, count)
    images = generator.integers(0, 40, size=(count, 8, 8), dtype=np.uint8)
    for image, label, place in zip(images, labels, generator.integers(0, 8, count)):
        image[(slice(None), place) if label else place] += 200
    return images, labels


TINY = {"steps": 2, "width": 16, "learned_noise": False}


def test_a_training_lowers_bits_and_repeats(cli, tmp_path):
    images, labels = bars()
    seen = []
    glow = flow.Glow(**TINY, random_state=3)
    glow.fit(images, labels, epochs=40, callback=lambda *epoch: seen.append(epoch))
    assert [epoch for epoch, _ in seen] == list(range(1, 41))
    assert seen[-1][1] < seen[0][1] - 0.5
    assert (glow.class_posterior(images).argmax(1) == labels).mean() > 0.9
    again = flow.Glow(**TINY, random_state=3).fit(images, labels, epochs=40)
    np.testing.assert_array_equal(again.sample(4), glow.sample(4))
    glow.save(tmp_path / "model.safetensors")
    assert "8" in cli("inspect", tmp_path / "model.safetensors").stdout


def test_the_last_level_has_its_own_steps(cli, tmp_path):
    glow = flow.Glow(**TINY, last_steps=3).fit(bars()[0], epochs=1)
    glow.save(tmp_path / "model.safetensors")
    rows = cli("inspect", tmp_path / "model.safetensors").stdout.splitlines()
    assert [row.split()[-1] for row in rows if row.startswith("steps")] == ["2", "3"]
    assert flow.Glow.load(tmp_path / "model.safetensors").last_steps == 3


def test_a_callback_ends_a_training():
    seen = []

    def callback(*epoch):
        seen.append(epoch)
        return len(seen) == 2

    flow.Glow(**TINY).fit(bars()[0], epochs=50, callback=callback)
    assert len(seen) == 2


def test_ctrl_c_ends_a_training():
    images = np.repeat(bars()[0], 40, axis=0)
    fresh = flow.Glow(steps=16, width=128)
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        fresh.fit(images, epochs=100)
    assert not hasattr(fresh, "model_")


def test_models_of_other_programs_are_read_and_written(tmp_path):
    found = flow.convert(PEERS / "nflows-gain.pt", size=8)
    assert found.shape == (3, 8, 8) or found.shape == (1, 8, 8)
    notes = flow.export(found, "nflows", tmp_path / "nflows.safetensors")
    assert any("pixel" in note for note in notes)
    again = flow.convert(tmp_path / "nflows.safetensors", size=8)
    np.testing.assert_array_equal(again.sample(2), found.sample(2))


def test_state_dicts_of_torch_are_read(tmp_path):
    torch = pytest.importorskip("torch")
    path = PEERS / "nflows-gain.pt"
    content = torch.load(path, map_location="cpu", weights_only=True)
    found, read = flow.convert(content, size=8), flow.convert(path, size=8)
    np.testing.assert_array_equal(found.sample(2), read.sample(2))
