"""Figures show what was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lfp_snn.diagnosis import diagnose
from lfp_snn.diagnosis.figures import draw, message, rate, update
from lfp_snn.training.build import build
from lfp_snn.training.config import Config, apply


def test_figures(tmp_path: Path) -> None:
    config = apply(Config(), {"data": {"name": "digits"}, "model": {"hidden": [16]}, "encoder": {"steps": 6}})
    d = diagnose(config, build(config), 1)
    files = draw(d, tmp_path)
    assert {file.name for file in files} == {"rate.png", "message.png", "update.png"}
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)

    (lines,) = rate(d.layers).axes
    hidden = d.layers[0].activity
    assert hidden is not None
    np.testing.assert_allclose(lines.lines[0].get_ydata(), 100 * np.array(hidden.per_step))

    picture = message(d.layers, "reward").axes[0].images[0].get_array()
    assert picture is not None
    assert picture.shape == (2, 6)
    assert float(picture.max()) == 0.0

    assert len(update(d.parameters).axes[0].lines) == 1 + len(d.parameters)
