"""Warnings about peers that are too old or too new."""

from __future__ import annotations

import warnings
from importlib.metadata import PackageNotFoundError

import pytest

from lfp_snn.adapters import versions
from lfp_snn.adapters.versions import check_version


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(versions, "version", lambda package: request.param)


@pytest.mark.parametrize("installed", ["1.1", "1.1.0", "1.1.9", "1.4.2", "1.4.0.post1", "1.4+cu130"], indirect=True)
@pytest.mark.usefixtures("installed")
def test_tested_versions_say_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_version("peer", "1.1", "1.4")


@pytest.mark.parametrize("installed", ["1.0.9", "0.0.0.0.14", "1.1rc1"], indirect=True)
@pytest.mark.usefixtures("installed")
def test_an_old_version_is_told_what_to_install() -> None:
    with pytest.warns(UserWarning, match=r'peer .* is installed.* 1\.1 and later: pip install "peer>=1\.1"'):
        check_version("peer", "1.1", "1.4")


@pytest.mark.parametrize("installed", ["1.5", "2.0.0", "1.10"], indirect=True)
@pytest.mark.usefixtures("installed")
def test_a_new_version_is_told_what_was_tested() -> None:
    with pytest.warns(UserWarning, match=r"newer than 1\.4, the newest that lfp_snn was tested with"):
        check_version("peer", "1.1", "1.4")


def test_the_warning_points_to_who_asked() -> None:
    with pytest.warns(UserWarning, match="torch") as caught:
        check_version("torch", "98", "99")
    assert caught[0].filename == __file__


def test_a_package_that_is_not_installed() -> None:
    with pytest.raises(PackageNotFoundError):
        check_version("no-such-peer", "1", "2")
