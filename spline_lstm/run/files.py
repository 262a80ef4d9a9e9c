"""Checked reads and atomic writes: the one place where artifacts meet the disk.

A write either replaces the whole file or leaves the old one untouched, so a killed
stage leaves nothing half-written. A read never runs code from the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pickle
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NoReturn

import numpy as np

from spline_lstm.run.errors import ArtifactError, InputNotFoundError

CORRUPT = (  # what parsers raise when they are given anything at all
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
WAY_BACK = "Bring a finished run back with `python -m stages.restore --run-id ID`, or make it again with `dvc repro`."
PICKLE_PROTOCOL = 4  # fixed: the default differs between Python versions, and so would the bytes


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write to a file that replaces `path` in one step, once all is written.

    Raises:
        ArtifactError: The file cannot be written (disk full, no permission).
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for orphan in path.parent.glob(f".{path.name}.*.tmp"):  # of a writer that was killed
            orphan.unlink(missing_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ArtifactError(
            f"`{path}` must be writable. Received: {error.strerror or error}. "
            "Free space or fix permissions, then run again: the old file is untouched."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step."""
    with replacing(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by UTF-8 `text` in one step."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Replace `path` by JSON with sorted keys. NaN and infinities are refused, not written."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Replace `path` by an uncompressed npz whose bytes depend on the arrays alone."""
    with replacing(path) as file:
        np.savez(file, **dict(sorted(arrays.items())))  # type: ignore[arg-type]


def write_pickle(path: Path, content: Mapping[str, Any]) -> None:
    """Replace `path` by a pickle of builtins; equal content gives equal bytes."""
    write_bytes(path, pickle.dumps(_plain(content), protocol=PICKLE_PROTOCOL))


@contextlib.contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """A file to read from.

    Raises:
        InputNotFoundError: There is no such file.
        ArtifactError: It is not a readable file.
    """
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise InputNotFoundError(f"`{path}` must exist. Received: no such file. {WAY_BACK}") from error
    except OSError as error:
        raise ArtifactError(f"`{path}` must be a readable file. Received: {error.strerror or error}.") from error


def read_bytes(path: Path) -> bytes:
    """Read a whole file.

    Raises:
        InputNotFoundError: There is no such file.
        ArtifactError: It is not a readable file.
    """
    with reading(path) as file:
        return file.read()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputNotFoundError: There is no such file.
        ArtifactError: It is not a JSON object.
    """
    try:
        content = json.loads(read_bytes(path).decode("utf-8"))
    except CORRUPT as error:
        raise _unreadable(path, "a JSON object", error) from error
    if not isinstance(content, dict):
        raise _unreadable(path, "a JSON object", type(content).__name__)
    return content


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read every array of an npz; arrays of objects are refused.

    Raises:
        InputNotFoundError: There is no such file.
        ArtifactError: It is not an npz of plain arrays.
    """
    with reading(path) as file:
        try:
            with np.load(file, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays.files}
        except CORRUPT as error:
            raise _unreadable(path, "an npz of plain arrays", error) from error
    if strange := [name for name, array in found.items() if not isinstance(array, np.ndarray)]:
        raise _unreadable(path, "an npz of plain arrays", f"something else named {strange[0]!r:.80}")
    return found


def read_pickle(path: Path) -> dict[str, Any]:
    """Read a pickle of a plain dict of builtins with an unpickler that can name no class.

    Raises:
        InputNotFoundError: There is no such file.
        ArtifactError: It is not such a pickle; nothing in it was run.
    """
    try:
        content = _BuiltinsUnpickler(io.BytesIO(read_bytes(path))).load()
    except CORRUPT as error:
        raise _unreadable(path, "a pickle of builtins", error) from error
    if not isinstance(content, dict):
        raise _unreadable(path, "a pickle of a dict", type(content).__name__)
    return content


def sha256(path: Path) -> str:
    """Hex digest of a file, read in blocks.

    Raises:
        InputNotFoundError: There is no such file.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputNotFoundError(f"`{path}` must exist. Received: {error.strerror or error}.") from error
    return digest.hexdigest()


def require_input(path: Path) -> None:
    """Refuse an input path that is no file.

    Raises:
        InputNotFoundError: There is no such file.
    """
    try:
        found = path.is_file()
    except OSError:  # a name that is too long, a folder that may not be entered
        found = False
    if not found:
        raise InputNotFoundError(
            f"The input must be a file. Received: {str(path)!r:.200}, which is none. "
            "Mend data.path in params.yaml, INPUT_PATH or --input."
        )


class _BuiltinsUnpickler(pickle._Unpickler):
    """The unpickler in pure Python: the compiled one allocates gigabytes if a few bytes ask for it."""

    # A bytearray is allocated before its bytes are read, and none of our artifacts holds one.
    dispatch: ClassVar = {
        code: load for code, load in pickle._Unpickler.dispatch.items() if code != pickle.BYTEARRAY8[0]
    }

    def find_class(self, module_name: str, global_name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")


def _plain(value: Any) -> Any:
    """Copy a tree of builtins with sorted keys and no shared strings, both of which show in pickle bytes."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or type(value) in (bool, int, float):  # NumPy's float64 is a float, but no builtin
        return value
    if type(value) is str:
        return value.encode("utf-8").decode("utf-8")
    raise ArtifactError(f"A pickled artifact must hold builtins only. Received: {type(value).__name__}.")


def _unreadable(path: Path, expected: str, found: object) -> ArtifactError:
    return ArtifactError(f"`{path}` must be {expected}. Received: {found}. {WAY_BACK}")
