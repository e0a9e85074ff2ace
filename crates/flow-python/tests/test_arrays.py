"""Arrays of any strides, types and origins."""

from __future__ import annotations

import numpy as np
import pytest

import flow


@pytest.fixture(scope="module")
def fitted():
    x = np.random.default_rng(0).normal(size=(200, 3))
    return flow.NeuralSplineFlow(layers=2, width=16, epochs=2).fit(x)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)


class Foreign:
    """A tensor of another library, which speaks DLPack alone."""

    def __init__(self, array, device=1):
        self.array, self.device = array, device

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device, 0


SAME = {
    "Fortran order": np.asfortranarray,
    "negative strides": lambda x: x[::-1].copy()[::-1],
    "a part of a wider array": lambda x: np.hstack([x, x])[:, :3],
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "broadcast memory": lambda x: np.lib.stride_tricks.as_strided(x, x.shape, x.strides),
    "unaligned": lambda x: np.frombuffer(b"." + x.tobytes(), np.float32, offset=1).reshape(x.shape),
    "float64": lambda x: x.astype(np.float64),
    "big-endian": lambda x: x.astype(">f4"),
    "a list": lambda x: x.tolist(),
    "objects": lambda x: x.astype(object),
    "read-only": lambda x: np.frombuffer(x.tobytes(), np.float32).reshape(x.shape),
    "a matrix": lambda x: np.ma.asarray(x),
    "a subclass": lambda x: x.view(type("Mine", (np.ndarray,), {})),
    "DLPack": Foreign,
    "a buffer": lambda x: memoryview(x),
}


@pytest.mark.parametrize("form", SAME)
def test_the_form_of_an_array_does_not_matter(form, fitted, x):
    expected = fitted.score_samples(x)
    np.testing.assert_array_equal(fitted.score_samples(SAME[form](x)), expected)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "bool", "float16"])
def test_numbers_that_convert_safely_are_taken(dtype, fitted):
    x = np.arange(12).reshape(4, 3).astype(dtype)
    expected = fitted.score_samples(x.astype(np.float32))
    np.testing.assert_array_equal(fitted.score_samples(x), expected)


def test_data_frames_are_taken(fitted, x):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(x, columns=["a", "b", "c"])
    np.testing.assert_array_equal(fitted.score_samples(frame), fitted.score_samples(x))


def test_tensors_of_torch_are_taken(fitted, x):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(x.copy())
    np.testing.assert_array_equal(fitted.score_samples(tensor), fitted.score_samples(x))
    with pytest.raises(ValueError, match="X cannot be read as an array: .*grad"):
        fitted.score_samples(tensor.requires_grad_())


def test_tensors_of_another_device_are_refused(fitted, x):
    with pytest.raises(ValueError, match="not in the memory of the CPU"):
        fitted.score_samples(Foreign(x, device=2))


def test_an_array_that_is_written_meanwhile_is_not_seen(fitted, x):
    first = fitted.score_samples(x)
    copy = x.copy()
    drawn = fitted.score_samples(copy)
    copy[:] = np.nan
    np.testing.assert_array_equal(first, drawn)


def test_results_belong_to_the_caller(fitted, x):
    log_prob = fitted.score_samples(x)
    log_prob += 1.0
    assert log_prob.flags.writeable and log_prob.flags.c_contiguous
    assert (fitted.score_samples(x) != log_prob).all()
