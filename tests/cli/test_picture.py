"""Pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lfp_snn.cli.picture import as_text, flat_picture, save_pictures


def test_flat_picture() -> None:
    x = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    np.testing.assert_allclose(flat_picture(x, temporal=True), x.sum((0, 1)))
    np.testing.assert_allclose(flat_picture(-x[0], temporal=False), x[0].sum(0))
    np.testing.assert_allclose(flat_picture(x[0, 0], temporal=True), x[0, 0].T)
    np.testing.assert_allclose(flat_picture(x[0, 0, 0], temporal=False), x[0, 0, :1])


def test_brightness_becomes_density() -> None:
    assert as_text(np.array([[0.0, 0.5, 1.0]])) == "  ++@@"
    assert as_text(np.zeros((2, 2))) == "\n"


def test_large_pictures_are_averaged() -> None:
    picture = np.zeros((64, 128))
    picture[:32, :64] = 1.0
    lines = as_text(picture, width=32).split("\n")
    assert len(lines) == 20
    assert lines[0] == "@" * 32
    assert lines[-1] == ""


def test_save(tmp_path: Path) -> None:
    pictures = {str(k): np.random.default_rng(k).random((8, 8)) for k in range(7)}
    save_pictures(pictures, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
