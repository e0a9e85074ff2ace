"""Python blocks of the pages, which are run in their order."""

from __future__ import annotations

import re

import numpy as np
import pytest
from conftest import ROOT

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", ["docs/python.md", "README.md", "crates/flow-python/README.md"])
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    assert blocks
    # The README's rows are the reader's.
    names = {"x": np.random.default_rng(0).normal(size=(300, 2))}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{page}, block {number}", "exec"), names)
