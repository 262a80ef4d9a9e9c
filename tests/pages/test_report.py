"""The verdict says what the numbers say."""

import pytest

from spline_lstm.pages.report import _verdict

BASELINES = {"seasonal_naive": {"rmse": 3.0}, "ridge": {"rmse": 2.0}}


@pytest.mark.parametrize(
    ("rmse", "share", "expected"),
    [
        (1.0, 0.5, "**The model beats every baseline.** Its RMSE is 50.0% below the best of them, ridge."),
        (2.5, 0.5, "**The model does not beat the best baseline, ridge.** Use that baseline instead"),
        (2.0, 0.0, "**The model is its ridge.**"),
    ],
)
def test_the_verdict_opens_with_the_outcome(rmse, share, expected):
    scores = {
        "metrics": {"rmse": rmse, "skill": 1 - rmse / 2, "coverage": 0.9},
        "best_baseline": "ridge",
        "baselines": BASELINES,
    }

    verdict = _verdict(scores, {"coverage": 0.9}, {"linear": True, "share": share})

    assert verdict.startswith(expected)
    assert ("0.0% above ridge" in verdict) == (rmse == 2.0)
