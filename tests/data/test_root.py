"""Where data are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from lfp_snn.data import data_root, load, missing
from lfp_snn.errors import ConfigError, LfpError, MissingDataError


@pytest.fixture
def _no_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LFP_SNN_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_no_variable")
def test_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert data_root() == Path.home() / ".local" / "share" / "lfp_snn"
    (tmp_path / "data").mkdir()
    assert data_root() == Path("data")
    monkeypatch.setenv("LFP_SNN_DATA", str(tmp_path / "variable"))
    assert data_root() == tmp_path / "variable"
    assert data_root(tmp_path / "argument") == tmp_path / "argument"
    assert data_root("~/x") == Path.home() / "x"


@pytest.mark.usefixtures("_no_variable")
def test_a_file_is_no_root(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        data_root(tmp_path / "file")


def test_missing_says_what_from_where_and_whereto() -> None:
    error = missing("shd", Path("/data/SHD/shd_train.h5"), "shd_train.h5.zip", "https://zenkelab.org")
    assert isinstance(error, MissingDataError)
    for part in (
        "'shd'",
        "/data/SHD/shd_train.h5",
        "shd_train.h5.zip",
        "https://zenkelab.org",
        "--data-root",
        "LFP_SNN_DATA",
    ):
        assert part in str(error)


@pytest.mark.parametrize(
    "name", ["mnist", "fashion-mnist", "cifar10", "nmnist", "dvs-gesture", "cifar10-dvs", "shd", "ssc", "fsdd"]
)
def test_every_data_set_that_is_not_there_says_so(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr("lfp_snn.data.static.DEBIAN", tmp_path)
    with pytest.raises(LfpError, match="http") as info:
        load(name, tmp_path)
    assert isinstance(info.value, MissingDataError)
    assert str(tmp_path) in str(info.value)
