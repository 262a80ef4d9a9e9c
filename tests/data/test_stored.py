"""Whoever recomputes every recorded hash still cannot make a preprocessed run of other kinds of values."""

import json
import pickle

import numpy as np
import pytest

from spline_lstm.data.prepared import load_prepared
from spline_lstm.run.errors import ArtifactError
from spline_lstm.run.files import read_json, read_npz, sha256, write_json, write_npz, write_pickle

ARRAYS = {
    "text for numbers": lambda arrays: arrays.update(values=arrays["values"].astype(str)),
    "a table for a line": lambda arrays: arrays.update(settled=arrays["settled"][None]),
    "no number": lambda arrays: arrays["settled"].__setitem__(3, np.nan),
    "infinity": lambda arrays: arrays["calendar"].__setitem__((0, 0), np.inf),
    "another gap": lambda arrays: arrays["values"].__setitem__(3, np.nan),
    "a fill less": lambda arrays: arrays.update(held=arrays["held"][:-1]),
    "a fill that is no number": lambda arrays: arrays["held"].__setitem__(0, np.nan),
    "a value more than steps": lambda arrays: arrays.update(settled=np.append(arrays["settled"], 0)),
    "a gap before its begin": lambda arrays: arrays["since"].__setitem__(0, -1),
    "a row of 10^18 steps": lambda arrays: arrays["lengths"].__setitem__(0, 10**18),
    "a row that begins before time": lambda arrays: arrays["starts"].__setitem__(0, -1),
    "a row that goes on after time": lambda arrays: arrays["starts"].__setitem__(0, 1),
    "a row without steps": lambda arrays: arrays.update(
        {name: arrays[name][:0] for name in ("values", "settled", "observed", "held", "since")},
        lengths=np.zeros_like(arrays["lengths"]),
        known=arrays["known"][len(arrays["values"]) :],
    ),
    "one more row": lambda arrays: arrays.update(starts=np.append(arrays["starts"], 0)),
    "no row": lambda arrays: arrays.update(series=arrays["series"][:0]),
    "a series that is not there": lambda arrays: arrays["series"].__setitem__(0, 2**40),
    "time that stands still": lambda arrays: arrays["timestamps"].__setitem__(1, arrays["timestamps"][0]),
    "too little of the calendar": lambda arrays: arrays.update(calendar=arrays["calendar"][:-1]),
    "statics of more series": lambda arrays: arrays.update(static=np.zeros((9, 0), "f")),
}
FITTED = {
    "a horizon of text": lambda content: content["settings"].update(horizon="soon"),
    "a horizon of 10^12": lambda content: content["settings"].update(horizon=10**12),
    "a lookback below zero": lambda content: content["settings"].update(lookback=-1),
    "a season that is no number": lambda content: content["settings"].update(seasons=[float("nan")]),
    "one setting more": lambda content: content["settings"].update(more=1),
    "no settings": lambda content: content.update(settings=[]),
    "channels that are numbers": lambda content: content.update(channels=[1]),
    "a channel more": lambda content: content["channels"].append("more"),
    "no spread": lambda content: content["scaler"].update(std=[0.0]),
    "a mean that is no number": lambda content: content["scaler"].update(mean=[float("nan")]),
    "a mean of lists": lambda content: content["scaler"].update(mean=[[1.0], [2.0, 3.0]]),
    "one statistic less": lambda content: content["scaler"].pop("logs"),
    "an identity of 2^40": lambda content: content.update(identities=[2**40]),
    "an unknown timezone": lambda content: content["encoding"]["calendar"].update(timezone="Mars/Olympus"),
    "an unknown country": lambda content: content["encoding"]["calendar"].update(holidays="Atlantis"),
    "a million splines": lambda content: content["encoding"]["calendar"].update(times_of_year=10**6),
    "no columns": lambda content: content.update(data={}),
    "covariates of another kind": lambda content: content["covariates"].update(past=7),
    "no encoding": lambda content: content.update(encoding=None),
}
BORDERS = {
    "an end of 10^12": lambda splits: splits["test"].update(end=10**12),
    "an end of text": lambda splits: splits["test"].update(end="never"),
    "an end after time": lambda splits: splits["test"].update(end=splits["test"]["end"] + 1),
    "ends out of order": lambda splits: splits["train"].update(end=splits["test"]["end"]),
    "no test": lambda splits: splits.pop("test"),
}
FINDINGS = {
    "dropped that is a list": lambda meta: meta.update(dropped=["a"]),
    "lacking that is a tree": lambda meta: meta.update(lacking={"a": {"b": "c"}}),
}


def damage_arrays(paths, change):
    arrays = {name: array.copy() for name, array in read_npz(paths.processed).items()}
    change(arrays)
    write_npz(paths.processed, arrays)


def damage_fitted(paths, change):
    content = pickle.loads(paths.preprocessor.read_bytes())
    change(content)
    write_pickle(paths.preprocessor, content)


def damage_borders(paths, change):
    content = read_json(paths.split_contract)
    change(content["splits"])
    write_json(paths.split_contract, content)


def damage_findings(paths, change):
    meta = read_json(paths.meta)
    change(meta)
    write_json(paths.meta, meta)


CASES = [
    pytest.param(damage, change, id=name)
    for damage, changes in (
        (damage_arrays, ARRAYS),
        (damage_fitted, FITTED),
        (damage_borders, BORDERS),
        (damage_findings, FINDINGS),
    )
    for name, change in changes.items()
]


@pytest.mark.parametrize(("damage", "change"), CASES)
def test_values_of_another_kind_are_refused_though_hashes_fit(finished, damage, change):
    paths = finished.paths("first")
    load_prepared(paths)

    damage(paths, change)
    meta = json.loads(paths.meta.read_text(encoding="utf-8"))
    files = (paths.processed, paths.split_contract, paths.preprocessor)
    write_json(paths.meta, {**meta, "sha256": {file.name: sha256(file) for file in files}})

    with pytest.raises(ArtifactError, match="must hold"):
        load_prepared(paths)
