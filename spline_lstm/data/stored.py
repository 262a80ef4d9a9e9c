"""What the arrays of a preprocessed run must satisfy before anything is computed from them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spline_lstm.data.windows import Splits

KINDS = {  # kind and dimensions of each array
    **dict.fromkeys(("values", "settled", "held"), ("f", 1)),
    **dict.fromkeys(("timestamps", "starts", "lengths", "since", "series", "target_indices"), ("i", 1)),
    **dict.fromkeys(("known", "calendar", "static"), ("f", 2)),
    "observed": ("b", 1),
    "feature_names": ("U", 1),
}
NAMES = {"f": "numbers", "i": "integers", "b": "yes or no", "U": "text"}


def require_arrays(content: Mapping[str, np.ndarray], names: int, rows: int, horizon: int, splits: Splits) -> None:
    """Refuse arrays of another kind, or that do not fit each other.

    Args:
        content: Of processed.npz.
        names: How many rows the preprocessor knows.
        rows: How many of them are to be forecast.
        horizon: Steps.
        splits: Borders.

    Raises:
        ValueError: They do not; the message says what must hold.
    """
    for name, (kind, dimensions) in KINDS.items():
        if content[name].dtype.kind != kind or content[name].ndim != dimensions:
            raise ValueError(f"`{name}` is no array of {NAMES[kind]} in {dimensions} dimension(s)")
    starts, lengths, series, clock = (content[name] for name in ("starts", "lengths", "series", "timestamps"))
    if not len(starts) == len(lengths) == len(content["feature_names"]) == names >= len(series) == rows > 0:
        raise ValueError(f"arrays of other rows than the {names} of the preprocessor, {rows} of them to be forecast")
    time, missing = len(clock), int((~content["observed"]).sum())
    first = np.unique(series, return_index=True)[1]
    covariates = [content[name] for name in ("known", "calendar", "static")]
    steps = [(lengths[first] + horizon).sum(), time + horizon, len(first)]
    rules = {
        "times in order": np.diff(clock) > 0,
        "splits in order": 0 < splits.train < splits.validation < splits.test <= time,
        "rows within the calendar": (starts >= 0) & (lengths > 0) & (lengths <= time) & (starts <= time - lengths),
        "a value for each step": lengths.sum()
        == len(content["values"])
        == len(content["settled"])
        == len(content["observed"]),
        "a number where it is seen": ~(np.isnan(content["values"]) & content["observed"]),
        "what fills each gap": len(content["held"]) == len(content["since"]) == missing,
        "gaps behind what they follow": content["since"] > 0,
        "series in order": np.array_equal(series[first], np.arange(len(first))),
        "covariates of each step": [len(each) for each in covariates] == steps,
        "finite": all(np.isfinite(each).all() for each in (content["settled"], content["held"], *covariates)),
    }
    for rule, holds in rules.items():
        if not np.all(holds):
            raise ValueError(f"arrays that are not {rule}")
