"""Names, places and gates of a run."""

import string
from itertools import permutations
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.run.contract import (
    PREPROCESSOR_SCHEMA,
    SPLIT_SCHEMA,
    RunPaths,
    checked_run_id,
    open_preprocessed,
    open_trained,
)
from spline_lstm.run.errors import ArtifactError, InputNotFoundError, ParamsError, RunIdMismatchError
from spline_lstm.run.files import read_json, read_pickle, sha256, write_bytes, write_json, write_npz, write_pickle

LETTERS_AND_DIGITS = string.ascii_letters + string.digits
run_ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)


def is_safe(run_id):
    return (
        1 <= len(run_id) <= 64
        and run_id[0] in LETTERS_AND_DIGITS
        and all(character in LETTERS_AND_DIGITS + "._-" for character in run_id)
    )


@given(run_id=run_ids | st.text(max_size=70) | st.text("aZ0._-/ \n", max_size=70))
@settings(max_examples=200)
def test_a_run_id_is_accepted_exactly_when_it_keeps_the_rule(run_id):
    if is_safe(run_id):
        assert checked_run_id(run_id) == run_id
    else:
        with pytest.raises(ParamsError, match="`run_id` must be a string of 1 to 64 letters"):
            checked_run_id(run_id)


HOSTILE = [
    "",
    ".",
    "..",
    "../up",
    "/root",
    "a/b",
    "a\\b",
    "-rf",
    ".hidden",
    "_a",
    "a b",
    "a\n",
    "a\0",
    "a;b",
    "$(a)",
    "`a`",
]
FOREIGN = ["é", "\uff41", "\u0663"]  # letters and digits, but not of ASCII


@pytest.mark.parametrize("run_id", [*HOSTILE, *FOREIGN, "a'b", "a" * 65, "${run_id}", "a*", "~"])
def test_hostile_run_ids_are_refused(run_id):
    with pytest.raises(ParamsError):
        checked_run_id(run_id)


@pytest.mark.parametrize(("run_id", "kind"), [(7, "int"), (1e5, "float"), (None, "NoneType"), (True, "bool")])
def test_a_run_id_that_yaml_turned_into_something_else_says_how_to_quote_it(run_id, kind):
    with pytest.raises(ParamsError, match=f"which YAML reads as {kind}: quote it"):
        checked_run_id(run_id)


def every_path(run_id, root="artifacts"):
    paths = RunPaths(Path(root), run_id)
    return [*sum(paths.artifacts().values(), ()), paths.health, paths.made]


def test_the_contract_spells_these_paths():
    expected = {
        "processed/demo/processed.npz",
        "processed/demo/meta.json",
        "processed/demo/split_contract.json",
        "models/demo/preprocessor.pkl",
        "checkpoints/demo/best.keras",
        "checkpoints/demo/last.keras",
        "checkpoints/demo/final.keras",
        "metrics/demo.json",
        "reports/demo.md",
        "metadata/demo.json",
        "predictions/demo.parquet",
        "forecasts/demo.csv",
    }

    assert expected <= {path.relative_to("artifacts").as_posix() for path in every_path("demo")}


@given(run_id=run_ids)
@settings(max_examples=50)
def test_every_path_of_a_run_lies_below_the_root_and_names_the_run(run_id):
    for path in every_path(run_id, root="/root"):
        assert PurePosixPath("/root") in PurePosixPath(path).parents
        assert ".." not in path.parts
        assert run_id in str(path)
    assert len(set(every_path(run_id))) == len(every_path(run_id))


@given(
    run_id=run_ids.filter(lambda run_id: len(run_id) < 50), suffix=st.sampled_from(["", ".md", ".json", ".made", "2"])
)
@settings(max_examples=50)
def test_no_path_of_a_run_is_a_file_or_folder_of_another(run_id, suffix):
    one, other = every_path(run_id), every_path(run_id + (suffix or "x"))

    for mine, theirs in [(one, other), (other, one)]:
        taken = {folder for path in theirs for folder in (path, *path.parents)}
        assert not taken & set(mine)


@pytest.fixture
def paths(tmp_path):
    """The files of a trained run, with just what the gates look at."""
    paths = RunPaths(tmp_path, "first")
    write_npz(paths.processed, {"values": np.arange(3)})
    write_json(paths.split_contract, {"run_id": "first", "schema_version": SPLIT_SCHEMA, "splits": {}})
    fitted = {"settings": {}, "channels": ["load"], "scaler": {}, "identities": [1]}
    fitted |= {"encoding": {}, "data": {}, "covariates": {}}
    write_pickle(paths.preprocessor, {"run_id": "first", "schema_version": PREPROCESSOR_SCHEMA, **fitted})
    for file in (paths.best_checkpoint, paths.last_checkpoint, paths.final_checkpoint, paths.history):
        write_bytes(file, file.name.encode())
    seal(paths)
    return paths


def seal(paths):
    """Record hashes of the files as they are."""
    hashes = {file.name: sha256(file) for file in (paths.processed, paths.split_contract, paths.preprocessor)}
    meta = {"run_id": "first", "frequency": "h", "shape": {"rows": 1, "time": 3, "steps": 3}, "dropped": {}}
    write_json(paths.meta, {**meta, "lacking": {}, "sha256": hashes})
    hashes = {
        file.name: sha256(file)
        for file in (paths.best_checkpoint, paths.last_checkpoint, paths.final_checkpoint, paths.history)
    }
    write_json(paths.training, {"run_id": "first", "model": {}, "clock": False, "delays": False, "sha256": hashes})


def edit(file, **changes):
    """Change entries of a JSON or pickle; None removes one."""
    read, write = (read_pickle, write_pickle) if file.suffix == ".pkl" else (read_json, write_json)
    content = {**read(file), **changes}
    write(file, {key: value for key, value in content.items() if value is not None})


NAMED = ("meta", "split_contract", "preprocessor")
OF_PREPROCESSOR = (
    *("schema_version", "settings", "channels", "scaler", "identities"),
    *("encoding", "data", "covariates"),
)


def test_a_run_in_order_passes_its_gates(paths):
    meta, split, preprocessor = open_preprocessed(paths)

    assert (meta["frequency"], split["run_id"], preprocessor["channels"]) == ("h", "first", ["load"])
    assert open_trained(paths)["run_id"] == "first"


DEFECTS = {
    "nothing": lambda file: None,
    "a missing file": lambda file: file.unlink(),
    "a missing key": lambda file: edit(file, sha256=None, splits=None, settings=None),
    "a wrong schema": lambda file: edit(file, schema_version="other"),
    "a wrong hash": lambda file: edit(file, extra=1),
}


@pytest.mark.parametrize(("foreign", "defective"), list(permutations(NAMED, 2)))
@pytest.mark.parametrize("defect", DEFECTS.values(), ids=DEFECTS)
def test_a_file_of_another_run_is_reported_before_anything_else(paths, foreign, defective, defect):
    defect(getattr(paths, defective))
    paths.processed.unlink()
    edit(getattr(paths, foreign), run_id="second", schema_version="other")

    for gate in (open_preprocessed, open_trained):
        with pytest.raises(RunIdMismatchError, match=r"must belong to run 'first'\. Received: run_id 'second'"):
            gate(paths)


def test_hashes_that_are_no_table_are_refused(paths):
    edit(paths.training, sha256=["best.keras"])

    with pytest.raises(ArtifactError, match="must map file names to hashes"):
        open_trained(paths)


def test_training_of_another_run_is_reported_before_its_checkpoints_are_looked_at(paths):
    paths.best_checkpoint.unlink()
    edit(paths.training, run_id="second")

    with pytest.raises(RunIdMismatchError):
        open_trained(paths)


@pytest.mark.parametrize("name", [*NAMED, "processed"])
def test_a_missing_file_is_reported_as_not_found(paths, name):
    getattr(paths, name).unlink()

    with pytest.raises(InputNotFoundError, match=getattr(paths, name).name):
        open_preprocessed(paths)


@pytest.mark.parametrize(
    ("gate", "name", "key"),
    [(open_preprocessed, name, "run_id") for name in NAMED]
    + [(open_preprocessed, "meta", key) for key in ("sha256", "frequency", "shape", "dropped", "lacking")]
    + [(open_preprocessed, "split_contract", key) for key in ("schema_version", "splits")]
    + [(open_preprocessed, "preprocessor", key) for key in OF_PREPROCESSOR]
    + [(open_trained, "training", key) for key in ("run_id", "sha256", "model", "clock", "delays")],
)
def test_a_missing_key_is_named(paths, gate, name, key):
    edit(getattr(paths, name), **{key: None})

    with pytest.raises(ArtifactError, match=f"none of {key}"):
        gate(paths)


@pytest.mark.parametrize("name", ["split_contract", "preprocessor"])
def test_an_unknown_schema_is_refused(paths, name):
    edit(getattr(paths, name), schema_version="phase0")
    seal(paths)

    with pytest.raises(ArtifactError, match=r"must have schema_version.*'phase0'"):
        open_preprocessed(paths)


@pytest.mark.parametrize(
    ("gate", "name"),
    [(open_preprocessed, name) for name in ("processed", "split_contract", "preprocessor")]
    + [(open_trained, name) for name in ("best_checkpoint", "last_checkpoint", "final_checkpoint", "history")],
)
def test_a_file_changed_after_it_was_written_is_refused(paths, gate, name):
    file = getattr(paths, name)
    if name in NAMED:
        edit(file, extra="harmless")
    else:
        write_bytes(file, file.read_bytes() + b"\n")

    with pytest.raises(ArtifactError, match=f"{file.name}.*must have the sha256 recorded"):
        gate(paths)


@pytest.mark.parametrize(("gate", "name"), [(open_preprocessed, "meta"), (open_trained, "training")])
@pytest.mark.parametrize("hashes", [{}, [], "abc", 7])
def test_hashes_that_are_not_recorded_are_refused(paths, gate, name, hashes):
    edit(getattr(paths, name), sha256=hashes)

    with pytest.raises(ArtifactError):
        gate(paths)
