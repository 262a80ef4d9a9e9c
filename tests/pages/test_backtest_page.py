"""The section of a backtest says what is sure, and shows means with their spread and every fold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spline_lstm.pages.backtest import backtest_section, plot_backtest
from spline_lstm.pages.figures import png

DAYS = pd.date_range("2024-01-01", periods=40, freq="D")
HORIZON = 4


def content_of(skills, series=1, margin=0.05):
    """Folds of a model with RMSE 1 whose baselines have these skills to beat, by their names."""

    def scores(rmse, **more):
        return {**dict.fromkeys(("rmse", "mae", "wape", "mase", "relative_rmse"), rmse), **more}

    baselines = {name: scores(1 / (1 - skill), skill=skill, skill_margin=margin) for name, skill in skills.items()}
    folds = [
        {
            "fold": number,
            "fitted": number,
            "cutoff": str(DAYS[number * HORIZON]),
            "first": str(DAYS[number * HORIZON + 1]),
            "last": str(DAYS[(number + 1) * HORIZON]),
            "train": 1600,
            "validation": 400,
            "series": series,
            "dropped": {},
            "metrics": scores(1.0, coverage=0.75, observed=HORIZON),
            "baselines": baselines,
        }
        for number in (1, 2, 3)
    ]
    summary = {
        name: {key: {"mean": value, "std": 0.25} for key, value in table.items()}
        for name, table in {"model": folds[0]["metrics"], **baselines}.items()
    }
    return {
        "step": HORIZON,
        "folds": folds,
        "left_out": [],
        "summary": summary,
        "better": {name: 3 if skill > 0 else 0 for name, skill in skills.items()},
        "pooled": {
            "metrics": folds[0]["metrics"],
            "baselines": baselines,
            "best_baseline": min(skills, key=skills.get),
        },
    }


def predictions():
    windows = []
    for number in (1, 2, 3):
        steps = np.arange(1, HORIZON + 1)
        value = np.sin(steps + number)
        windows.append(
            pd.DataFrame(
                {
                    "series_id": "load",
                    "origin": DAYS[number * HORIZON],
                    "timestamp": DAYS[number * HORIZON + steps],
                    "y_true": value,
                    "y_pred": value + 0.1,
                    "y_lower": value - 1,
                    "y_upper": value + 1,
                }
            )
        )
    return pd.concat(windows, ignore_index=True)


@pytest.mark.parametrize(
    ("skills", "expected"),
    [
        ({"naive": 0.5, "ridge": 0.2}, "**Over these folds the model beats every baseline.**"),
        (
            {"naive": 0.5, "ridge": 0.02},
            "**Over these folds there is no clear difference between the model and ridge.**",
        ),
        ({"naive": 0.5, "ridge": -0.2}, "**Over these folds the model does not beat ridge.**"),
    ],
)
def test_it_opens_with_what_is_sure(skills, expected):
    page = backtest_section(content_of(skills))

    assert page.startswith(expected)
    assert f"{3 if skills['ridge'] > 0 else 0} of 3 folds" in page


def test_it_shows_means_with_their_spread_and_each_fold():
    page = backtest_section(content_of({"naive": 0.5}), "![Folds](mine.png)")

    assert "3 folds, 4 steps apart, with 3 fits: 12 observed targets from 2024-01-06 to 2024-01-17." in page
    assert "| **model** | 1.000 ± 0.25 | 1.000 ± 0.25 | 1.000 ± 0.25 | 1.000 ± 0.25 | 75.0% ± 25.0 |  |  |" in page
    assert "| 3 of 3 | 50.0% ± 5.0 |" in page
    assert "| 1 | 2024-01-05 | 2024-01-09 | 1 | 1,600 | 400 | 1.000 | 2.000 | 75% |" in page
    assert "\n\n![Folds](mine.png)\n\n" in page


def test_it_names_the_folds_that_were_left_out():
    content = content_of({"naive": 0.5})
    lost = content["folds"].pop(1)
    content["left_out"] = [{key: lost[key] for key in ("fold", "cutoff")}]

    page = backtest_section(content)

    assert "Fold 2 (after 2024-01-09) has nothing to score" in page
    assert "| 3 | 2024-01-13 | 2024-01-17 | 3 |" in page


def test_it_names_the_series_that_folds_leave_out():
    content = content_of({"naive": 0.5}, series=3)
    content["folds"][0]["dropped"] = {"new": "must have 49 steps", "still": "must vary"}
    content["folds"][2]["dropped"] = {"still": "must vary"}

    assert "Left out are new of fold 1 and still of folds 1 and 3;" in backtest_section(content)
    assert "Left out" not in backtest_section(content_of({"naive": 0.5}))


def test_the_hour_of_a_cutoff_is_shown_where_steps_are_hours():
    content = content_of({"naive": 0.5})
    for fold in content["folds"]:
        fold["first"] = str(pd.Timestamp(fold["cutoff"]) + pd.Timedelta("1h"))

    assert "| 1 | 2024-01-05 00:00 | 2024-01-09 00:00 | 1 |" in backtest_section(content)


def test_of_many_series_errors_have_no_unit():
    page = backtest_section(content_of({"naive": 0.5}, series=3))

    assert "of up to 3 series" in page
    assert "relative RMSE: model" in page


def test_the_picture_is_the_same_to_the_byte_with_errors_alike_and_far_apart():
    for skills in ({"naive": 0.1}, {"naive": 0.9, "ridge": 0.1}):
        first, again = (png(plot_backtest(content_of(skills), predictions())) for _ in range(2))
        assert first == again
        assert first.startswith(b"\x89PNG")


def test_without_folds_it_says_which_command_makes_them():
    nothing = {"folds": []}

    assert "dvc exp run -S backtest.windows=8" in backtest_section(nothing)
    assert png(plot_backtest(nothing, predictions())).startswith(b"\x89PNG")
