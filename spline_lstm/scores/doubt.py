"""How sure a comparison is: margins of the skill from a bootstrap over stretches of time.

Windows overlap, series share the calendar, and errors of neighbouring steps are alike. So what is drawn are neither
windows nor targets but stretches of one horizon, with the targets of all series in them (block bootstrap, Künsch 1989,
The Jackknife and the Bootstrap for General Stationary Observations).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from spline_lstm.scores.forecasts import Forecasts

CONFIDENCE = 0.95
DRAWS, AT_ONCE, SEED = 1000, 100, 0
LEAST = 1e-4  # of the squared errors of a baseline: a draw with fewer of them lacks nearly all there is to compare with
MOST_LACKING = 0.25  # of draws: where they err in two stretches, e^-2 of all draws have neither
BETTER, UNCLEAR, WORSE = "better", "no clear difference", "worse"


def verdict(scores: Mapping[str, Any]) -> str:
    """What `skill` and `skill_margin` say of the model; None is undefined.

    A margin without a skill is that of a baseline which errs by rounding alone, as the model does not.
    """
    skill, margin = scores["skill"], scores["skill_margin"]
    if skill is None:
        return UNCLEAR if margin is None else WORSE
    if margin is None or abs(skill) <= margin:
        return UNCLEAR
    return BETTER if skill > 0 else WORSE


def skill_margins(
    forecasts: Forecasts, baselines: Mapping[str, np.ndarray], best: Sequence[str]
) -> tuple[dict[str, float], np.ndarray]:
    """How far the skill of the model may be off to either side, with a confidence of 95 %.

    A margin is Student's quantile times the standard error over draws: percentiles of a few stretches are too narrow.

    Args:
        forecasts: Of the model.
        baselines: `(windows, horizon)` each.
        best: Of each row the name of its best baseline, to which its errors are relative; "" where it has no targets,
            or that one errs by rounding only.

    Returns:
        Of the skill against each baseline, over all rows; of the skill against each row's best one, `(rows,)`. NaN
        where the skill is undefined, or fewer than two stretches hold targets or nearly all errors of that one.
    """
    y_true, horizon = forecasts.y_true, forecasts.y_true.shape[1]
    since = forecasts.origins - forecasts.origins.min()
    shape = (int(since.max()) + horizon - 1) // horizon + 1, len(best)

    def by_stretch(cells: np.ndarray) -> np.ndarray:
        """Sums of `(windows, horizon)`, of what is no NaN: `(stretches, rows)`."""
        total = np.zeros(shape[0] * shape[1])
        for step in range(horizon):  # one at a time: the places of all cells of a large panel are gigabytes
            seen = ~np.isnan(cells[:, step])
            place = (since[seen] + step) // horizon * shape[1] + forecasts.rows[seen]
            total += np.bincount(place, cells[seen, step], len(total))
        return total.reshape(shape)

    def squares(table: np.ndarray) -> np.ndarray:
        return by_stretch((y_true - table).astype(float) ** 2)

    model, others = squares(forecasts.y_pred), {name: squares(table) for name, table in baselines.items()}
    reference = np.sum([table * (np.array(best) == name) for name, table in others.items()], axis=0)
    observed = by_stretch(np.where(np.isnan(y_true), np.nan, 1.0))
    held, least = observed.any(axis=1), LEAST * reference.sum(axis=0)

    random = np.random.default_rng(SEED)
    against: dict[str, list[np.ndarray]] = {name: [] for name in baselines}
    of_rows = []
    for _ in range(DRAWS // AT_ONCE):
        weights = random.multinomial(held.sum(), held / held.sum(), AT_ONCE).astype(float)
        drawn = weights @ reference
        drawn = np.where(drawn > least, drawn, np.nan)
        ratios = np.sqrt(weights @ model / drawn)  # relative RMSE; NaN where there is nothing to compare with
        of_rows.append(ratios)
        for name, table in others.items():
            of_other = _mean(np.sqrt(weights @ table / drawn))
            against[name].append(_mean(ratios) / np.where(of_other > 0, of_other, np.nan))
    whole = {name: float(_margin(np.concatenate(draws), held.sum())) for name, draws in against.items()}
    return whole, _margin(np.concatenate(of_rows), (observed > 0).sum(axis=0))


def _mean(ratios: np.ndarray) -> np.ndarray:
    """Over rows, of those that are defined: `(draws,)`."""
    defined = ~np.isnan(ratios)
    counts = defined.sum(axis=1)
    return np.where(defined, ratios, 0).sum(axis=1) / np.where(counts > 0, counts, np.nan)


def _margin(draws: np.ndarray, stretches: np.ndarray | int) -> np.ndarray:
    """Of what was drawn, `(draws, ...)`, from so many stretches."""
    defined = ~np.isnan(draws)
    counts = defined.sum(axis=0)
    count = np.where(counts >= (1 - MOST_LACKING) * len(draws), counts, np.nan)
    mean = np.where(defined, draws, 0).sum(axis=0) / count
    error = np.sqrt((np.where(defined, draws - mean, 0) ** 2).sum(axis=0) / (count - 1))
    freedom = np.where(np.asarray(stretches) > 1, np.asarray(stretches) - 1.0, np.nan)
    return stdtrit(freedom, (1 + CONFIDENCE) / 2) * error
