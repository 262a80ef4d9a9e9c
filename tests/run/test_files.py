"""A write is whole or not at all; a read never runs code and fails in one way only."""

import hashlib
import io
import os
import pickle
import pickletools
import random
import resource
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.run import files
from spline_lstm.run.errors import ArtifactError, InputNotFoundError

ROOT = Path(__file__).parents[2]
READERS = {".json": files.read_json, ".npz": files.read_npz, ".pkl": files.read_pickle}
WRITERS = {".json": files.write_json, ".npz": files.write_npz, ".pkl": files.write_pickle}
ARRAYS = {"names": np.array(["load", "oil"]), "values": np.arange(12.0).reshape(3, 4), "steps": np.arange(5)}
TABLE = {"run_id": "first", "mean": [1.5, -2.0], "settings": {"season": 12, "frequency": "h"}, "linear": True}
CONTENT = {".json": TABLE, ".npz": ARRAYS, ".pkl": TABLE}

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
trees = st.dictionaries(
    st.text(), st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def little_memory():
    """Damaged bytes may ask for gigabytes: let that fail here as it would on a small machine."""
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**31, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


def in_other_order(tree):
    """An equal tree whose keys were inserted the other way round and whose strings are objects of their own."""
    if isinstance(tree, dict):
        return {in_other_order(key): in_other_order(tree[key]) for key in reversed(tree)}
    if isinstance(tree, list):
        return [in_other_order(item) for item in tree]
    return "".join(list(tree)) if isinstance(tree, str) else tree


@pytest.mark.parametrize("suffix", [".json", ".pkl"])
@given(tree=trees)
@settings(max_examples=40)
def test_trees_come_back_and_equal_ones_give_equal_bytes(folder, suffix, tree):
    one, other = folder / f"one{suffix}", folder / f"other{suffix}"

    WRITERS[suffix](one, tree)
    WRITERS[suffix](other, in_other_order(tree))

    assert READERS[suffix](one) == tree
    assert other.read_bytes() == one.read_bytes()


def test_arrays_come_back_and_equal_ones_give_equal_bytes(folder):
    one, other = folder / "one.npz", folder / "other.npz"

    files.write_npz(one, ARRAYS)
    files.write_npz(other, {name: ARRAYS[name].copy() for name in reversed(ARRAYS)})

    found = files.read_npz(one)
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
    assert other.read_bytes() == one.read_bytes()


def test_bytes_of_arrays_are_the_same_by_every_version_of_python(tmp_path):
    """Of which some write the headers of zip archives in another way, if they are asked for large ones."""
    files.write_npz(tmp_path / "a.npz", {"ids": np.array(["x", "yy"]), "values": np.arange(9.0).reshape(3, 3).T})

    found = hashlib.sha256((tmp_path / "a.npz").read_bytes()).hexdigest()

    assert found == "c6ec29633f42caf0c2ea8f87cc7f948c173febef4592ed985175d552449f98b8"


def test_folders_are_made_and_text_is_utf8(tmp_path):
    files.write_text(tmp_path / "a" / "b" / "note.md", "Zürich")

    assert (tmp_path / "a" / "b" / "note.md").read_bytes() == "Zürich".encode()


@pytest.mark.parametrize("size", [1_000, 100_000], ids=["met when a buffer is flushed", "met at once"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, size):
    path = tmp_path / "metrics.json"
    files.write_json(path, TABLE)
    old = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, limits[1]))
    try:
        with pytest.raises(ArtifactError, match="must be writable"):
            files.write_bytes(path, bytes(size))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("where", ["folder", "file/below", "file/far/below", "n" * 300])
def test_a_path_that_cannot_be_a_file_is_refused_and_leaves_nothing(tmp_path, where):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()

    with pytest.raises(ArtifactError, match="must be writable"):
        files.write_bytes(tmp_path / where, b"new")

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_not_a_number_is_refused_in_json_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "metrics.json"
    files.write_json(path, TABLE)

    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(path, {"mae": float("nan")})

    assert files.read_json(path) == TABLE


@pytest.mark.parametrize("value", [np.arange(3), {1, 2}, b"bytes", Path(), np.float64(1.5), np.bool_(True)])
def test_a_pickle_of_anything_but_plain_builtins_is_never_written(tmp_path, value):
    path = tmp_path / "preprocessor.pkl"

    with pytest.raises(ArtifactError, match="builtins only"):
        files.write_pickle(path, {"outer": [value]})

    assert not path.exists()


def test_what_a_killed_writer_left_behind_goes_with_the_next_write(tmp_path):
    path = tmp_path / "best.keras"
    (tmp_path / f".best.keras.{2**22 + 1}.tmp").write_bytes(b"half")  # no process has so high a number
    (tmp_path / ".last.keras.4242.tmp").write_bytes(b"of another file")

    files.write_bytes(path, b"whole")

    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".last.keras.4242.tmp", "best.keras"]


def test_two_writers_at_once_each_write_a_whole_file(tmp_path):
    path = tmp_path / "preflight.json"
    other = (
        f"from pathlib import Path; from spline_lstm.run.files import write_text; write_text(Path({str(path)!r}), 'b')"
    )

    with files.replacing(path) as file:
        subprocess.run([sys.executable, "-c", other], cwd=ROOT, check=True)
        assert path.read_text(encoding="utf-8") == "b"
        file.write(b"a")

    assert path.read_text(encoding="utf-8") == "a"
    assert [entry.name for entry in tmp_path.iterdir()] == ["preflight.json"]


def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    path = tmp_path / "processed.npz"
    whole = [byte * 4_000_000 for byte in (b"a", b"b")]
    program = (
        "import sys; from pathlib import Path; from spline_lstm.run.files import write_bytes\n"
        "path, size = Path(sys.argv[1]), int(sys.argv[2])\n"
        "write_bytes(path, b'a' * size)\n"
        "print('ready', flush=True)\n"
        "while True: [write_bytes(path, byte * size) for byte in (b'b', b'a')]\n"
    )
    for attempt in range(4):
        command = [sys.executable, "-c", program, str(path), str(len(whole[0]))]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout.readline() == "ready\n"
            time.sleep(0.003 * attempt + random.Random(attempt).uniform(0, 0.02))
            os.kill(writer.pid, signal.SIGKILL)

        assert path.read_bytes() in whole

    files.write_bytes(path, b"after")
    assert list(tmp_path.iterdir()) == [path]


class Payload:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_pickle_runs_nothing(tmp_path, protocol):
    mark, path = tmp_path / "mark", tmp_path / "preprocessor.pkl"
    for payload in [
        Payload(os.system, f"touch {mark}"),
        Payload(exec, f"open({str(mark)!r}, 'w')"),
        Payload(open, str(mark), "w"),
        np.arange(3),
        Path(),
    ]:
        for content in (payload, {"run_id": "first", "settings": [payload]}):
            path.write_bytes(pickle.dumps(content, protocol))
            with pytest.raises(ArtifactError, match="pickle of builtins"):
                files.read_pickle(path)
    assert not mark.exists()


# Written by hand: opcodes that name a class or an object outside of the file by other ways than a call.
@pytest.mark.parametrize(
    "content",
    [
        b"(S'touch mark'\nios\nsystem\n.",
        b"cos\nsystem\n(S'touch mark'\ntR.",
        b"(cos\nsystem\nS'touch mark'\no.",
        b"Pos.system\n.",
        b"\x80\x02\x82\x01.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93)\x81.",
    ],
    ids=["INST", "GLOBAL", "OBJ", "PERSID", "EXT1", "NEWOBJ"],
)
def test_no_opcode_reaches_outside_of_a_pickle(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hostile.pkl").write_bytes(content)

    with pytest.raises(ArtifactError, match="pickle of builtins"):
        files.read_pickle(tmp_path / "hostile.pkl")

    assert not (tmp_path / "mark").exists()


STRANGE = [opcode for opcode in pickletools.opcodes if opcode.name not in files.PICKLE_OPCODES]
ARGUMENTS = {
    "a line": b"os\nsystem\n",
    "a small size": b"\x01\x00\x00\x00\x00\x00\x00\x00a",
    "the largest size": b"\xff" * 8,
}


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("argument", ARGUMENTS.values(), ids=ARGUMENTS)
@pytest.mark.parametrize("opcode", STRANGE, ids=lambda opcode: opcode.name)
def test_an_opcode_that_no_artifact_needs_is_refused(tmp_path, opcode, argument):
    path = tmp_path / "hostile.pkl"
    path.write_bytes(b"\x80\x04}\x94\x8c\x01a" + opcode.code.encode("latin-1") + argument + b"s.")

    with pytest.raises(ArtifactError, match="pickle of builtins"):
        files.read_pickle(path)


GREEDY = {
    # CPython's compiled unpickler grows its memo to twice any index named.
    "LONG_BINPUT": b"\x80\x02}r" + (2**25).to_bytes(4, "little") + b".",
    # The size of what follows, which is nothing.
    "BYTEARRAY8": b"\x80\x05\x96" + (2**29).to_bytes(8, "little") + b".",
    "BINBYTES8": b"\x80\x04\x8e" + (2**29).to_bytes(8, "little") + b".",
    "FRAME": b"\x80\x04\x95" + (2**29).to_bytes(8, "little") + b"}.",
}


@pytest.mark.parametrize("content", GREEDY.values(), ids=GREEDY)
def test_a_tiny_pickle_cannot_claim_gigabytes(tmp_path, content):
    path = tmp_path / "hostile.pkl"
    path.write_bytes(content)  # each asks for 512 MiB
    # Not getrusage, whose peak a process inherits from the one that started it.
    program = (
        "import re, sys; from pathlib import Path\n"
        "from spline_lstm.run.errors import ArtifactError; from spline_lstm.run.files import read_pickle\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])\n"
        "before = peak()\n"
        "try: read_pickle(Path(sys.argv[1]))\n"
        "except ArtifactError: pass\n"
        "print((peak() - before) // 1024)\n"
    )

    grown = subprocess.run([sys.executable, "-c", program, path], cwd=ROOT, capture_output=True, text=True, check=True)

    assert int(grown.stdout) < 64, "MiB"


def test_an_array_of_objects_is_refused(tmp_path):
    path = tmp_path / "processed.npz"
    np.savez(path, values=np.array([Payload(os.system, f"touch {tmp_path / 'mark'}")], dtype=object))

    with pytest.raises(ArtifactError, match="npz of plain arrays"):
        files.read_npz(path)

    assert not (tmp_path / "mark").exists()


def zip_of(member):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("values.npy", member)
    return buffer.getvalue()


def npy_of(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def compressed(arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def overlapping(member):
    """An archive whose directory names one member many times."""
    one = zip_of(member)
    directory = one.index(b"PK\x01\x02")
    entry, end = one[directory : one.index(b"PK\x05\x06")], bytearray(one[one.index(b"PK\x05\x06") :])
    end[8:12], end[12:16] = (1000).to_bytes(2, "little") * 2, (1000 * len(entry)).to_bytes(4, "little")
    return one[:directory] + entry * 1000 + bytes(end)


OTHER_KINDS = {
    "a list": (".json", b"[1]"),
    "no text": (".json", b"\xff\xfe"),
    "too deep": (".json", b'{"a":' * 100_000),
    "a number too long to convert": (".json", b'{"seed": ' + b"1" * 5000 + b"}"),
    "a pickled list": (".pkl", pickle.dumps([1])),
    "a member that is no array": (".npz", zip_of(b"no array")),
    "an array with an open header": (".npz", zip_of(npy_of(np.arange(9)).replace(b"(9,)", b"(((("))),
    "one array": (".npz", npy_of(np.arange(9))),
    "a pickle for an npz": (".npz", pickle.dumps(TABLE)),
    "deep lists": (".pkl", b"\x80\x04}\x8c\x01a" + b"]" * 100_000 + b"a" * 99_999 + b"s."),
    "deep JSON": (".json", b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"),
    "no number": (".json", b'{"mae": NaN}'),
    "a long integer": (".pkl", b"\x80\x04}\x8c\x01a\x8b" + (2500).to_bytes(4, "little") + b"\x7f" * 2500 + b"s."),
    # Each tuple holds the one before it twice: 2^60 of them, if they are told apart.
    "tuples of tuples": (".pkl", b"\x80\x04}\x8c\x01a)" + b"2\x86" * 60 + b"s."),
    "lists of lists": (".pkl", b"\x80\x04}\x8c\x01a]\x94" + b"(h\x00h\x00l\x94" * 60 + b"s."),
    "a frozen set": (".pkl", pickle.dumps({"a": frozenset([1])}, 4)),
    "a text that is shared": (".pkl", pickle.dumps({"a": ["load"] * 1000}, 4)),
    "a compressed npz": (".npz", compressed(ARRAYS)),
    "members that overlap": (".npz", overlapping(npy_of(np.zeros(9999)))),
    "an array that is not there": (
        ".npz",
        zip_of(npy_of(np.arange(9)).replace(b"(9,), }" + b" " * 13, b"(99999999999999,), }")),
    ),
    "an array of nothing": (".npz", zip_of(npy_of(np.arange(9)).replace(b"'<i8'", b"'<U0'"))),
    "an array with a long header": (".npz", zip_of(b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little"))),
    **{f"empty {suffix}": (suffix, b"") for suffix in READERS},
}


@pytest.mark.parametrize(("suffix", "content"), OTHER_KINDS.values(), ids=OTHER_KINDS)
def test_bytes_of_another_kind_are_refused(tmp_path, suffix, content):
    path = tmp_path / f"artifact{suffix}"
    path.write_bytes(content)

    with pytest.raises(ArtifactError, match=r"artifact.*must be"):
        READERS[suffix](path)


HEADER = "{'descr': '<i8', 'fortran_order': False, 'shape': (9,), }"
HEADERS = {
    "that is code": "__import__('os').system('touch mark')",
    "that calls": HEADER.replace("(9,)", "tuple([9])"),
    "that is a list": "['<i8', False, (9,)]",
    "that is empty": "",
    "that is open": HEADER[:-8],
    "of deep brackets": "(" * 9000,
    "without a shape": HEADER.replace("'shape': (9,), ", ""),
    "with a word more": HEADER.replace("(9,), ", "(9,), 'more': 1, "),
    "of objects": HEADER.replace("<i8", "|O"),
    "of records with objects": HEADER.replace("'<i8'", "[('a', '|O')]"),
    "of records of records": HEADER.replace("'<i8'", "[('a', " * 60 + "'<i8'" + ")]" * 60),
    "of items without size": HEADER.replace("<i8", "|V0"),
    "of texts of gigabytes": HEADER.replace("<i8", "<U1073741824"),
    "of an unknown type": HEADER.replace("<i8", "<z9"),
    "of an alignment that asks for an import": HEADER.replace("'<i8'", "'os.system'"),
    "of a negative shape": HEADER.replace("(9,)", "(-9,)"),
    "of a shape with two negatives": HEADER.replace("(9,)", "(-3, -3)"),
    "of a shape of 2^63": HEADER.replace("(9,)", "(9223372036854775808,)"),
    "of a shape that wraps around": HEADER.replace("(9,)", "(4294967296, 4294967296, 9)"),
    "of a thousand dimensions": HEADER.replace("(9,)", "(" + "1, " * 1000 + "9)"),
    "of a shape of numbers with points": HEADER.replace("(9,)", "(9.0,)"),
    "of a shape of a million numbers": HEADER.replace("(9,)", "(" + "9, " * 1_000_000 + ")"),
    "of more than is there": HEADER.replace("(9,)", "(10,)"),
    "of less than is there": HEADER.replace("(9,)", "(8,)"),
    "of another order of columns": HEADER.replace("False", "'rows'"),
}


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0), (9, 9)], ids=lambda version: f"version {version[0]}")
@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_an_array_with_a_hostile_header_is_refused(tmp_path, monkeypatch, header, version):
    monkeypatch.chdir(tmp_path)
    path, size = (
        tmp_path / "artifact.npz",
        len(header).to_bytes(2 if version[0] == 1 and len(header) < 2**16 else 4, "little"),
    )
    path.write_bytes(zip_of(b"\x93NUMPY" + bytes(version) + size + header.encode() + np.arange(9).tobytes()))

    with pytest.raises(ArtifactError, match="npz of plain arrays"):
        files.read_npz(path)

    assert not (tmp_path / "mark").exists()


def assert_refused_or_a_dict(path):
    try:
        content = READERS[path.suffix](path)
    except ArtifactError:
        return
    assert isinstance(content, dict)
    if path.suffix == ".npz":
        assert all(isinstance(array, np.ndarray) for array in content.values())


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("suffix", READERS)
def test_each_single_damaged_byte_is_refused_or_leaves_a_dict(tmp_path, suffix):
    path = tmp_path / f"damaged{suffix}"
    WRITERS[suffix](path, {"values": np.arange(4)} if suffix == ".npz" else TABLE)
    content = path.read_bytes()
    failures = {}
    for position, byte in enumerate(content):
        for flipped in (0x01, 0x20, 0xFF):
            path.write_bytes(content[:position] + bytes([byte ^ flipped]) + content[position + 1 :])
            try:
                assert_refused_or_a_dict(path)
            except Exception as error:  # noqa: BLE001, listed below
                failures[type(error).__name__] = f"byte {position} ^ {flipped:#x}: {error}"
    assert failures == {}


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("suffix", READERS)
@given(replaced=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4), cut=st.integers(0, 2000))
@settings(max_examples=100)
def test_damaged_and_truncated_bytes_are_refused_or_leave_a_dict(folder, suffix, replaced, cut):
    path = folder / f"damaged{suffix}"
    WRITERS[suffix](path, CONTENT[suffix])
    damaged = bytearray(path.read_bytes())
    for position, byte in replaced:
        damaged[position % len(damaged)] = byte

    path.write_bytes(damaged[:cut] if cut % 2 else damaged)

    assert_refused_or_a_dict(path)


@pytest.mark.parametrize("read", [*READERS.values(), files.read_bytes, files.sha256])
def test_a_missing_file_is_an_input_not_found(tmp_path, read):
    with pytest.raises(InputNotFoundError, match="must exist"):
        read(tmp_path / "absent")


@pytest.mark.parametrize("read", READERS.values())
def test_a_folder_is_no_artifact(tmp_path, read):
    with pytest.raises(ArtifactError, match=r"must be a file.*Delete it"):
        read(tmp_path)


def test_the_hash_is_of_all_blocks_of_the_file(tmp_path):
    content = bytes(range(256)) * 5000  # more than one block
    (tmp_path / "long").write_bytes(content)

    assert files.sha256(tmp_path / "long") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("path", ["absent.csv", ".", "a" * 5000, "a/" * 2500, "\0", "params.yaml/a"], ids=repr)
def test_an_input_that_cannot_be_a_file_is_not_found(path):
    with pytest.raises(InputNotFoundError, match="must be a file"):
        files.require_input(Path(path))
