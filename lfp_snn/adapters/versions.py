"""Whether a peer's installed version is one that its adapter was tested with."""

from __future__ import annotations

import warnings
from importlib.metadata import version

from packaging.version import Version


def check_version(package: str, oldest: str, newest_tested: str) -> None:
    """Warn if a peer is older than its adapter supports, or of a newer series than the adapter was tested with.

    Parameters
    ----------
    package : str
        Name of the distribution, as pip knows it.
    oldest : str
        The oldest version supported, for example ``"1.1"``.
    newest_tested : str
        The newest version, or series of versions, tested: with ``"1.1"``, version 1.1.7 is known and 1.2 is not.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        If the package is not installed.

    Examples
    --------
    >>> check_version("torch", "2.0", "99")
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     check_version("torch", "98.1", "99")
    >>> str(caught[0].message)
    'torch ... is installed, and lfp_snn works with 98.1 and later: pip install "torch>=98.1"'
    """
    installed, tested = Version(version(package)), Version(newest_tested)
    if installed < Version(oldest):
        _warn(
            f"{package} {installed} is installed, and lfp_snn works with {oldest} and later: "
            f'pip install "{package}>={oldest}"'
        )
    elif installed.release[: len(tested.release)] > tested.release:
        _warn(
            f"{package} {installed} is newer than {newest_tested}, the newest that lfp_snn was tested with: compare "
            "the spikes with and without LFP once, or install a tested version"
        )


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=3)
