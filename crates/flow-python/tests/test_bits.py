"""The numbers of Rust, to the bit: fits, densities, draws and files."""

from __future__ import annotations

import csv
import json
import struct

import numpy as np
import pytest
from estimators import KINDS

import flow


def rows(count=300, columns=3, dtype=np.float32):
    return np.random.default_rng(0).normal(2.0, 3.0, size=(count, columns)).astype(dtype)


def write_tensors(path, **arrays):
    """A safetensors file, by its description."""
    header, blob = {}, b""
    for name, array in arrays.items():
        start, kind = len(blob), {"f4": "F32", "f8": "F64"}[array.dtype.str[1:]]
        blob += array.tobytes()
        ends = [start, len(blob)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": ends}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + blob)


def parts(path):
    """The header and the numbers of a safetensors file."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("recipe", KINDS)
def test_fits_are_those_of_rust(recipe, dtype, reference, tmp_path):
    x = rows(dtype=dtype)
    write_tensors(tmp_path / "data", x=x)
    reference(recipe, dtype, tmp_path / "data", tmp_path / "rust")
    sizes = {"layers": 2, "width": 16, "epochs": 4, "batch_size": 64}
    fitted = KINDS[recipe](**sizes, random_state=7, dtype=dtype).fit(x)
    fitted.save(tmp_path / "python")
    rust, python = parts(tmp_path / "rust"), parts(tmp_path / "python")
    assert rust[1] == python[1]
    architecture = [json.loads(header["__metadata__"]["flow"]) for header, _ in (rust, python)]
    assert architecture[0]["architecture"] == architecture[1]["architecture"]
    loaded = flow.load(tmp_path / "rust")
    assert type(loaded) is KINDS[recipe]
    np.testing.assert_array_equal(loaded.score_samples(x), fitted.score_samples(x))


def test_contexts_and_weights_are_those_of_rust(reference, tmp_path):
    x, context = rows(), rows(columns=2)[::-1].copy()
    weights = np.random.default_rng(1).uniform(0.0, 2.0, 300)
    weights[::7] = 0.0
    write_tensors(tmp_path / "data", x=x, context=context, weights=weights)
    reference("nsf", "float32", tmp_path / "data", tmp_path / "rust")
    sizes = {"layers": 2, "width": 16, "epochs": 4, "batch_size": 64, "random_state": 7}
    fitted = flow.NeuralSplineFlow(**sizes).fit(x, context=context, sample_weight=weights)
    fitted.save(tmp_path / "python")
    assert parts(tmp_path / "rust")[1] == parts(tmp_path / "python")[1]


def test_any_number_of_threads_gives_the_same_bits():
    x, found = rows(2000), []
    threads = flow.get_num_threads()
    for number in (1, 3, threads):
        flow.set_num_threads(number)
        assert flow.get_num_threads() == number
        fitted = flow.NeuralSplineFlow(layers=2, width=32, epochs=3).fit(x)
        found.append(fitted.score_samples(x).tobytes() + fitted.sample(500).tobytes())
    assert found[0] == found[1] == found[2]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    x = rows().astype(np.float64)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x0", "x1", "x2"])
        writer.writerows(x.tolist())
    return path, x


def scores(cli, model, table, tmp_path):
    cli("score", "--checkpoint", model, table, "--out", tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open() as file:
        found = [float(row["log_prob"]) for row in csv.DictReader(file)]
    return np.array(found, np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_command_line_reads_what_python_saves(dtype, cli, table, tmp_path):
    path, x = table
    fitted = flow.NeuralSplineFlow(layers=2, width=16, epochs=3, dtype=dtype).fit(x)
    fitted.save(tmp_path / "flow.safetensors")
    found = scores(cli, tmp_path / "flow.safetensors", path, tmp_path)
    np.testing.assert_array_equal(found, fitted.score_samples(x).astype(np.float32))
    shown = cli("inspect", tmp_path / "flow.safetensors").stdout
    assert "a NumPy array" in shown and "x2" in shown and "3 epochs" in shown
    out = tmp_path / "drawn.csv"
    model = tmp_path / "flow.safetensors"
    cli("sample", "--checkpoint", model, "--rows", 50, "--out", out)
    drawn = np.loadtxt(out, delimiter=",", skiprows=1)
    assert drawn.shape == (50, 3)


def test_python_reads_what_the_command_line_saves(cli, table, tmp_path):
    path, x = table
    model = tmp_path / "flow.safetensors"
    cli("fit", path, "--out", model, "--epochs", 3, "--layers", 2, "--width", 16)
    found = scores(cli, model, path, tmp_path)
    loaded = flow.NeuralSplineFlow.load(model)
    assert (loaded.layers, loaded.width, loaded.bins) == (2, 16, 8)
    np.testing.assert_array_equal(found, loaded.score_samples(x))
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == model.read_bytes()


def test_names_of_columns_and_contexts_go_with_the_file(cli, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows(columns=3), columns=["mass", "spin", "energy"])
    x, context = frame[["mass", "spin"]], frame[["energy"]]
    fitted = flow.RealNVP(layers=2, width=8, epochs=2).fit(x, context=context)
    fitted.save(tmp_path / "flow.safetensors")
    frame.to_csv(tmp_path / "table.csv", index=False)
    found = scores(cli, tmp_path / "flow.safetensors", tmp_path / "table.csv", tmp_path)
    np.testing.assert_array_equal(found, fitted.score_samples(x, context))
    loaded = flow.RealNVP.load(tmp_path / "flow.safetensors")
    assert list(loaded.feature_names_in_) == ["mass", "spin"] and loaded.n_context_in_ == 1
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.score_samples(x[["spin", "mass"]], context)


def test_a_file_of_another_class_is_refused(tmp_path):
    flow.RealNVP(layers=1, width=8, epochs=1).fit(rows()).save(tmp_path / "flow")
    with pytest.raises(ValueError, match="holds a RealNVP, not a NICE"):
        flow.NICE.load(tmp_path / "flow")
    assert isinstance(flow.load(tmp_path / "flow"), flow.RealNVP)
