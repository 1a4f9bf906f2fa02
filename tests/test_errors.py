"""Errors: hierarchy, wording, optional imports."""

from __future__ import annotations

import pytest

from lfp_snn import errors
from lfp_snn.errors import LfpError, MissingDataError, MissingExtraError, require, suggest


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.DataError, ValueError),
        (errors.MissingDataError, FileNotFoundError),
        (errors.ShapeError, ValueError),
        (errors.ConfigError, ValueError),
        (errors.UnknownLayerError, TypeError),
        (errors.CheckpointError, RuntimeError),
        (errors.MissingExtraError, ImportError),
    ],
)
def test_each_error_is_ours_and_the_builtin(error: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(error, LfpError)
    assert issubclass(error, builtin)
    assert str(error("a message")) == "a message"


def test_missing_data_error_keeps_its_message() -> None:
    with pytest.raises(FileNotFoundError, match="put it in"):
        raise MissingDataError("put it in /data")


def test_require_imports() -> None:
    assert require("json", "events").dumps([]) == "[]"


def test_require_names_the_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'lfp-snn\[events\]'"):
        require("a_module_nobody_has.sub", "events")


def test_require_does_not_hide_other_missing_imports(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (__import__("pathlib").Path(str(tmp_path)) / "broken_lib.py").write_text("import a_module_nobody_has\n")
    with pytest.raises(ModuleNotFoundError, match="a_module_nobody_has") as info:
        require("broken_lib", "events")
    assert not isinstance(info.value, MissingExtraError)


def test_suggest() -> None:
    assert "did you mean 'epsilon'?" in suggest("epsilom", ["epsilon", "zero"], "rule")
    assert "did you mean" not in suggest("xyz", ["epsilon"], "rule")
    assert "none" in suggest("xyz", [])
