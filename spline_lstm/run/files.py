"""Checked reads and atomic writes: the one place where artifacts meet the disk.

A write either replaces the whole file or leaves the old one untouched, so a killed
stage leaves nothing half-written. A read never runs code from the file.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import io
import json
import math
import os
import pickle
import shlex
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, ClassVar, NoReturn

import numpy as np
import psutil

from spline_lstm.run.errors import ArtifactError, InputNotFoundError

if TYPE_CHECKING:
    import pandas as pd  # costs a third of a second, which readers of files do without

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
EPOCH_ZERO = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
PICKLE_PROTOCOL = 4  # fixed: the default differs between Python versions, and so would the bytes
PICKLE_OPCODES = (  # that `write_pickle` needs: none calls, names a class, or makes bytes, a tuple or a set
    *("PROTO", "FRAME", "STOP", "MEMOIZE", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2"),
    *("LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_LIST"),
    *("APPEND", "APPENDS", "BINGET", "LONG_BINGET"),
)
DEEPEST = 32  # levels of JSON and pickles: to show or to copy deeper ones takes a stack that Python has not


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write to a file that replaces `path` in one step, once all is written.

    Raises:
        ArtifactError: The file cannot be written (disk full, no permission).
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for orphan in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            writer = orphan.name.split(".")[-2]
            if not (writer.isdecimal() and psutil.pid_exists(int(writer))):  # it was killed
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


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Replace `path` by a CSV without an index, of the same bytes on any system."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_json(path: Path, content: Any) -> None:
    """Replace `path` by JSON with sorted keys. NaN and infinities are refused, not written."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Replace `path` by an uncompressed npz whose bytes depend on the arrays alone.

    `numpy.savez` asks for headers of large members always, and Python's versions write these each in another way.
    """
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name in sorted(arrays):
            member = zipfile.ZipInfo(f"{name}.npy", EPOCH_ZERO)
            member.file_size = arrays[name].nbytes  # tells large members, before they are written
            with archive.open(member, "w") as stream:
                np.lib.format.write_array(stream, arrays[name], allow_pickle=False)


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
    if path.exists() and not path.is_file():  # nothing would ever come out of a pipe
        raise ArtifactError(f"`{path}` must be a file. Received: a folder, or the like. Delete it. {WAY_BACK}")
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
        ArtifactError: It is not a JSON object, or holds what is no number.
    """
    return _tree(path, "a JSON object", lambda content: json.loads(content.decode("utf-8"), parse_constant=_refuse))


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read every array of an npz as `write_npz` makes it; its size bounds the memory that reading takes.

    Raises:
        InputNotFoundError: There is no such file.
        ArtifactError: It is not an npz of plain arrays, or compressed.
    """
    with reading(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return {member.filename.removesuffix(".npy"): _array(archive, member) for member in stored(archive)}
        except CORRUPT as error:
            raise _unreadable(path, "an npz of plain arrays", error) from error


def stored(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Members of an archive as ours are, which takes as much memory as it has bytes.

    Raises:
        ValueError: One is compressed, or several claim the same bytes.
    """
    members = archive.infolist()
    assert archive.fp is not None
    size = archive.fp.seek(0, os.SEEK_END)
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("a compressed member")
    if sum(member.file_size for member in members) > size:
        raise ValueError(f"members of more than its {size} bytes")
    return members


def read_pickle(path: Path) -> dict[str, Any]:
    """Read a pickle of a plain dict of builtins with an unpickler that can name no class.

    Raises:
        InputNotFoundError: There is no such file.
        ArtifactError: It is not such a pickle; nothing in it was run.
    """
    return _tree(path, "a pickle of builtins in a dict", lambda content: _BuiltinsUnpickler(content).load())


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
        advice, tracked = "Mend data.path in params.yaml, INPUT_PATH or --input.", f"{path}.dvc"
        if os.path.isfile(tracked):  # a name that is too long is no file to it
            advice = f"Get it with `dvc checkout {shlex.quote(tracked)}`, or with `dvc pull` if the cache lacks it."
        raise InputNotFoundError(f"The input must be a file. Received: {str(path)!r:.200}, which is none. {advice}")


class _Opcodes(dict[int, Any]):
    def __missing__(self, code: int) -> NoReturn:
        raise pickle.UnpicklingError(f"opcode {code}, which ours do without")


class _Letters(dict[int, Any]):
    """What a pickle may refer to again: of a letter Python has one object, and so it does in ours."""

    def __getitem__(self, index: int) -> str:
        shared = super().__getitem__(index)
        if not isinstance(shared, str) or len(shared) > 1:
            raise pickle.UnpicklingError(f"a shared {type(shared).__name__}")
        return shared


class _BuiltinsUnpickler(pickle._Unpickler):
    """The unpickler in pure Python: the compiled one allocates gigabytes if a few bytes ask for it.

    Nothing longer than a letter is shared: what is read is a tree that is as large as the file.
    """

    dispatch: ClassVar = _Opcodes(
        {code: pickle._Unpickler.dispatch[code] for (code,) in (getattr(pickle, name) for name in PICKLE_OPCODES)}
    )

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self.memo = _Letters()

    def find_class(self, module_name: str, global_name: str) -> NoReturn:
        """No opcode of ours comes here; if one did, it would still get no class."""
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")


def _tree(path: Path, expected: str, parse: Callable[[bytes], Any]) -> dict[str, Any]:
    try:
        content = parse(read_bytes(path))
    except CORRUPT as error:
        raise _unreadable(path, expected, error) from error
    if not isinstance(content, dict):
        raise _unreadable(path, expected, type(content).__name__)
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        level = [item for each in level for item in (each.values() if isinstance(each, dict) else each)]
        level = [each for each in level if isinstance(each, dict | list)]
    if level:
        raise _unreadable(path, expected, f"one of more than {DEEPEST} levels")
    return content


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as stream:
        shape, by_columns, dtype = _header(stream)
        size = math.prod(shape) * dtype.itemsize
        if dtype.kind in "OV" or not dtype.itemsize or size != member.file_size - stream.tell():
            raise ValueError(f"`{member.filename}` of {dtype} and shape {shape}"[:200])
        content = np.frombuffer(bytearray(stream.read()), dtype)
    return content.reshape(shape, order="F" if by_columns else "C")


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"an array of version {version}")


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
