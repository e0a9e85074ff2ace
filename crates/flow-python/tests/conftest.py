"""Programs of this repository, which some tests run."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[3]


def program(variable, path):
    """The program that the environment names, or the one that cargo built for debugging."""
    named = os.environ.get(variable)
    found = pathlib.Path(named) if named else ROOT / "target" / "debug" / path
    if not named and not found.exists():
        pytest.skip(f"`{path}` is not built: `cargo build --workspace --examples` does it")

    def run(*arguments, **options):
        command = [found, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, **options)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def cli():
    """The command line `flow`."""
    return program("FLOW_PROGRAM", "flow")


@pytest.fixture(scope="session")
def reference():
    """The example `reference` of this crate."""
    return program("FLOW_REFERENCE", "examples/reference")


# A shell starts what runs in the background with interrupts ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
