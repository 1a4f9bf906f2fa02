"""Where the data are, and what to say when they are not."""

from __future__ import annotations

import os
from pathlib import Path

from lfp_snn.errors import ConfigError, MissingDataError

ROOT_VARIABLE = "LFP_SNN_DATA"


def data_root(root: str | Path | None = None) -> Path:
    """Folder that holds the data sets.

    Parameters
    ----------
    root : path, optional
        Taken if given. Otherwise the environment variable ``LFP_SNN_DATA``, otherwise ``./data`` if there is such a
        folder, otherwise ``~/.local/share/lfp_snn``.

    Returns
    -------
    Path
        The folder. It need not exist: data sets that come with the package do not use it.

    Raises
    ------
    ConfigError
        If the path is a file.

    Examples
    --------
    >>> data_root("some/folder").name
    'folder'
    """
    if root is not None:
        path = Path(root)
    elif os.environ.get(ROOT_VARIABLE):
        path = Path(os.environ[ROOT_VARIABLE])
    elif Path("data").is_dir():
        path = Path("data")
    else:
        path = Path.home() / ".local" / "share" / "lfp_snn"
    path = path.expanduser()
    if path.exists() and not path.is_dir():
        raise ConfigError(f"the data root {path} is a file, not a folder")
    return path


def missing(name: str, where: Path | str, what: str, page: str) -> MissingDataError:
    """Word the error for a data set that is not there.

    Parameters
    ----------
    name : str
        Of the data set.
    where : Path or str
        File or folder that was looked for.
    what : str
        What to download.
    page : str
        Address of the data set's own page.

    Returns
    -------
    MissingDataError
        To be raised by the caller.

    Examples
    --------
    >>> print(missing("shd", "data/SHD/shd_train.h5", "shd_train.h5.zip and shd_test.h5.zip", "https://zenkelab.org"))
    data set 'shd' is not there: no data/SHD/shd_train.h5
    Download shd_train.h5.zip and shd_test.h5.zip from https://zenkelab.org
    and put it there, or name the folder that holds it with --data-root or LFP_SNN_DATA.
    """
    return MissingDataError(
        f"data set {name!r} is not there: no {where}\n"
        f"Download {what} from {page}\n"
        f"and put it there, or name the folder that holds it with --data-root or {ROOT_VARIABLE}."
    )
