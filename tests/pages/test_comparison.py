"""The page of runs side by side says which is better, and where that may be chance."""

import numpy as np
import pandas as pd
import pytest

from spline_lstm.pages.comparison import plot_comparison, render_comparison
from spline_lstm.pages.figures import png
from spline_lstm.scores.compare import Comparison, RunScore

WANTED = {"lstm": 0.95, "gru": 0.95, "wide": 0.8}


def compared(*behind, series=1, margin=0.05):
    runs = [
        RunScore(name, 1 / (1 - gap), 2.0 + gap, 1.0, 0.9, 1, gap, margin if gap else np.nan, np.linspace(1, 2, 6))
        for name, gap in zip(("lstm", "gru", "wide"), (0.0, *behind), strict=False)
    ]
    day = pd.Timestamp("2024-01-01")
    return Comparison(tuple(runs), series, 20, 120, day, day + pd.Timedelta(days=3))


@pytest.mark.parametrize(
    ("behind", "expected"),
    [
        ((0.1,), "**lstm is better than gru.**\n"),
        ((0.01,), "**No clear difference between lstm and gru.**\n"),
        ((0.01, 0.2), "**lstm is better than wide.** **No clear difference between lstm and gru.**\n"),
        ((0.1, 0.2), "**lstm is better than gru and wide.**\n"),
    ],
)
def test_it_opens_with_what_is_sure(behind, expected):
    page = render_comparison(compared(*behind), "comparison.png", WANTED)

    assert page.startswith(f"# Runs side by side\n\n{expected}")


def test_a_difference_without_a_margin_is_not_called_clear():
    page = render_comparison(compared(0.3, margin=np.nan), "comparison.png", WANTED)

    assert "**No clear difference between lstm and gru.**" in page


def test_of_one_series_errors_have_units_of_many_they_have_none():
    one, many = (render_comparison(compared(0.1, series=count), "comparison.png", WANTED) for count in (1, 3))

    assert "| run | RMSE | MAE | coverage | behind lstm |" in one
    assert "| gru | 2.100 | 1.000 | 90.0% of 95% | 10.0% ± 5.0 |" in one
    assert "| lstm | 2.000 | 1.000 | 90.0% of 95% | 0.0% |" in one
    assert "| run | relative RMSE | best in | coverage | behind lstm |" in many
    assert (
        "20 test windows of 3 series that all runs have, with 120 observed targets from 2024-01-01 to 2024-01-04."
        in many
    )
    assert "![Runs side by side](comparison.png)" in many


def test_the_picture_is_the_same_to_the_byte():
    first, again = (png(plot_comparison(compared(0.1, 0.2))) for _ in range(2))

    assert first == again
    assert first.startswith(b"\x89PNG")
