"""Arrays on disk that would take long to make again.

An entry's file name holds a hash of its key: everything the arrays depend on (source files with size and time of
change, binning, transforms, the version of this format). Another key is another file, so a stale entry is never read.
An entry is written under another name and moved into place, so a half-written one is never seen; it carries a
checksum, and one that does not fit is made again. Entries are not cleared away by themselves; the folder may be
deleted at any time.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import tempfile
import types
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lfp_snn.errors import ConfigError

FORMAT_VERSION = 1
"""Part of every key: raise it whenever what is stored, or how it is computed, changes."""

CACHE_VARIABLE = "LFP_SNN_CACHE"
_MAGIC = b"lfp-snn-cache-1\n"
_ALIGN = 64

Arrays = dict[str, NDArray[Any]]
Write = Callable[[str, NDArray[Any]], None]


class _CannotWriteError(Exception):
    """The disk is full or gone; the message is the system's."""


def cache_folder(folder: str | Path | None = None) -> Path:
    """Folder of cached arrays.

    Parameters
    ----------
    folder : path, optional
        Taken if given; otherwise the environment variable ``LFP_SNN_CACHE``, otherwise ``~/.cache/lfp_snn``.

    Returns
    -------
    Path
        The folder; it need not exist.

    Examples
    --------
    >>> cache_folder("some/folder").name
    'folder'
    """
    chosen = folder or os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "lfp_snn"
    return Path(chosen).expanduser()


def cached(
    name: str, key: Mapping[str, Any], build: Callable[[Write], None], folder: str | Path | None = None
) -> Arrays:
    """Read arrays from the cache, or make and keep them.

    Parameters
    ----------
    name : str
        Beginning of the file name, for people who look into the folder.
    key : mapping
        Everything the arrays depend on, of JSON types; see `describe` and `describe_files`.
    build : callable
        ``build(write)`` makes the arrays by calling ``write(name, array)``; writing to the same name again, before any
        other, appends along the first axis, so large arrays need not be in memory at once.
    folder : path, optional
        See `cache_folder`. If it cannot be written to, a warning says so and the arrays are kept in memory.

    Returns
    -------
    dict of ndarray
        By name; mapped from the file, read-only.

    Examples
    --------
    >>> folder = tempfile.mkdtemp()
    >>> cached("square", {"n": 3}, lambda write: write("x", np.arange(3) ** 2), folder)["x"]
    memmap([0, 1, 4])
    """
    full_key = json.dumps({**key, "format": FORMAT_VERSION}, sort_keys=True)
    path = cache_folder(folder) / f"{name}-{hashlib.sha256(full_key.encode()).hexdigest()[:20]}.lfpcache"
    arrays = _read(path, full_key)
    if arrays is not None:
        return arrays
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem + "-", suffix=".tmp")
    except OSError as e:
        return _without_disk(build, path.parent, str(e.strerror))
    try:
        with _writing(descriptor) as file:
            _write(file, full_key, build)
        os.replace(temporary, path)
    except _CannotWriteError as e:
        Path(temporary).unlink(missing_ok=True)
        return _without_disk(build, path.parent, str(e))
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    arrays = _read(path, full_key)
    if arrays is None:
        raise OSError(f"the cache entry {path} cannot be read back after it was written")
    return arrays


def _without_disk(build: Callable[[Write], None], folder: Path, why: str) -> Arrays:
    warnings.warn(f"cannot write to the cache folder {folder} ({why}); not caching", stacklevel=3)
    parts: dict[str, list[NDArray[Any]]] = {}
    build(lambda name, array: parts.setdefault(name, []).append(array))
    return {name: np.concatenate(p) if len(p) > 1 else p[0] for name, p in parts.items()}


def _write(file: IO[bytes], key: str, build: Callable[[Write], None]) -> None:
    """Write magic, arrays one after the other, then an index of them (JSON), its length and checksum, magic."""
    index: dict[str, dict[str, Any]] = {}
    last = ""
    put = _guarded(file.write)
    put(_MAGIC)

    def write(name: str, array: NDArray[Any]) -> None:
        nonlocal last
        data = np.ascontiguousarray(array)
        dtype = np.lib.format.dtype_to_descr(data.dtype)
        if name != last:
            if name in index:
                raise ValueError(f"array {name!r} was already written and closed")
            put(bytes(-file.tell() % _ALIGN))
            index[name] = {"dtype": dtype, "shape": [0, *data.shape[1:]], "offset": file.tell(), "crc": 0}
            last = name
        entry = index[name]
        if entry["shape"][1:] != list(data.shape[1:]) or entry["dtype"] != dtype:
            raise ValueError(f"array {name!r} is appended to with another shape or dtype")
        raw = data.reshape(-1).view(np.uint8)
        put(raw.data)
        entry["shape"][0] += len(data)
        entry["crc"] = zlib.crc32(raw.data, entry["crc"])

    build(write)
    footer = json.dumps({"key": key, "arrays": index}).encode()
    put(footer)
    put(len(footer).to_bytes(8, "little") + zlib.crc32(footer).to_bytes(4, "little") + _MAGIC)


@contextmanager
def _writing(descriptor: int) -> Iterator[IO[bytes]]:
    """Open and close the file; what is left in its buffer may also meet a full disk."""
    file = os.fdopen(descriptor, "wb")
    try:
        yield file
    except BaseException:
        with suppress(OSError):
            file.close()
        raise
    _guarded(lambda _: file.close())(b"")


def _guarded(write: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Tell a disk that cannot be written to from the errors of what is written."""

    def put(data: Any) -> None:
        try:
            write(data)
        except OSError as e:
            raise _CannotWriteError(e.strerror or str(e)) from e

    return put


def _read(path: Path, key: str) -> Arrays | None:
    """Map an entry, or return None if there is none that is whole and has this key."""
    tail = 12 + len(_MAGIC)
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size < tail + len(_MAGIC):
                return None
            file.seek(size - tail)
            end = file.read(tail)
            length, checksum = int.from_bytes(end[:8], "little"), int.from_bytes(end[8:12], "little")
            if end[12:] != _MAGIC or length > size - tail:
                return None
            file.seek(size - tail - length)
            footer = file.read(length)
    except OSError:
        return None
    if zlib.crc32(footer) != checksum:
        return None
    content = json.loads(footer)
    if content["key"] != key:
        return None
    arrays: Arrays = {}
    for name, entry in content["arrays"].items():
        descr = entry["dtype"]
        dtype = np.dtype(descr if isinstance(descr, str) else [tuple(field) for field in descr])
        shape = tuple(entry["shape"])
        if 0 in shape:
            arrays[name] = np.empty(shape, dtype)
            continue
        try:
            array = np.memmap(path, dtype, "r", entry["offset"], shape)
        except (OSError, ValueError):  # something is missing in the middle
            return None
        if zlib.crc32(array.view(np.uint8).reshape(-1).data) != entry["crc"]:
            return None
        arrays[name] = array
    return arrays


def describe_files(files: Iterable[Path]) -> list[list[Any]]:
    """Describe source files for a key: name, size, time of change.

    Parameters
    ----------
    files : iterable of Path
        Existing files.

    Returns
    -------
    list
        One entry a file, in the order of their names.

    Examples
    --------
    >>> describe_files([Path("/dev/null")])[0][:2]
    ['/dev/null', 0]
    """
    found = []
    for file in sorted(Path(f).absolute() for f in files):
        stat = file.stat()
        found.append([str(file), stat.st_size, stat.st_mtime_ns])
    return found


def describe(thing: Any) -> Any:
    """Describe a configured object (a transform, a binning, a reader) for a key: what it is, its settings, its code.

    Parameters
    ----------
    thing : object
        A number, a string, a list, tuple, set or dict, an array, a dataclass, a function (with its closure and
        defaults), a ``functools.partial`` or any object: then its class and attributes count, and the code of its
        ``__call__``; or, if it has one, what its ``cache_key()`` returns. For things of an installed package the
        package's version counts too. Global variables are not seen.

    Returns
    -------
    object
        Of JSON types. It differs whenever settings or code differ.

    Raises
    ------
    ConfigError
        If nothing is known of the object but its address, or it contains itself.

    Examples
    --------
    >>> from lfp_snn.data import ByCount
    >>> describe(ByCount(20)) == describe(ByCount(20)), describe(ByCount(20)) == describe(ByCount(10))
    (True, False)
    """
    return _describe(thing, ())


def _describe(thing: Any, inside: tuple[int, ...]) -> Any:
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if id(thing) in inside:
        raise ConfigError(f"the cache cannot describe {thing!r}, which contains itself: pass cache=False")
    inside = (*inside, id(thing))

    def describe(part: Any) -> Any:
        return _describe(part, inside)

    if isinstance(thing, np.generic):
        return [str(thing.dtype), thing.item()]
    if isinstance(thing, bytes | Path | complex | range | np.dtype):
        return repr(thing)
    if isinstance(thing, np.ndarray):
        return [str(thing.dtype), list(thing.shape), hashlib.sha256(np.ascontiguousarray(thing).tobytes()).hexdigest()]
    if isinstance(thing, dict):
        return [[describe(k), describe(v)] for k, v in sorted(thing.items(), key=lambda item: repr(item[0]))]
    if isinstance(thing, list | tuple):
        return [describe(item) for item in thing]
    if isinstance(thing, set | frozenset):
        return sorted((describe(item) for item in thing), key=repr)
    if isinstance(thing, type):
        return _qualified(thing)
    if isinstance(thing, functools.partial):
        return ["partial", describe(thing.func), describe(thing.args), describe(thing.keywords)]
    if isinstance(thing, types.MethodType):
        return ["method", thing.__name__, describe(thing.__self__), _code(thing.__func__.__code__)]
    if isinstance(thing, types.FunctionType):
        cells = [describe(cell.cell_contents) for cell in thing.__closure__ or ()]
        return [
            _qualified(thing),
            _code(thing.__code__),
            describe(thing.__defaults__),
            describe(thing.__kwdefaults__),
            cells,
        ]
    if isinstance(thing, types.BuiltinFunctionType | np.ufunc):
        return ["builtin", getattr(thing, "__module__", None), thing.__name__]
    if hasattr(thing, "cache_key"):
        return [_qualified(type(thing)), describe(thing.cache_key())]
    settings: Any
    if dataclasses.is_dataclass(thing):
        settings = {f.name: getattr(thing, f.name) for f in dataclasses.fields(thing)}
    elif hasattr(thing, "__dict__"):
        settings = vars(thing)
    else:
        raise ConfigError(f"the cache cannot tell when {thing!r} changes: pass cache=False")
    call = type(thing).__call__ if callable(thing) else None
    code = _code(call.__code__) if isinstance(call, types.FunctionType) else ""
    return [_qualified(type(thing)), code, describe(settings)]


def _qualified(thing: Any) -> str:
    package = thing.__module__.partition(".")[0]
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    return f"{thing.__module__}.{thing.__qualname__} {version}".rstrip()


def _code(code: types.CodeType) -> str:
    """Hash what a function does: its instructions, names and constants, also of functions inside it."""
    h = hashlib.sha256(code.co_code)
    h.update(repr(code.co_names).encode())
    for constant in code.co_consts:
        h.update((_code(constant) if isinstance(constant, types.CodeType) else repr(constant)).encode())
    return h.hexdigest()[:16]
