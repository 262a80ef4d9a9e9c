"""The page and the picture of runs side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from spline_lstm.pages.figures import ACTUAL, colors, finish, legend, marker, panels
from spline_lstm.pages.labels import give_or_take, listed, number, percent, table, time_format
from spline_lstm.scores.compare import Comparison, RunScore
from spline_lstm.scores.doubt import CONFIDENCE

HEIGHT = 3.6


def render_comparison(comparison: Comparison, picture: str, wanted: Mapping[str, float]) -> str:
    """Markdown, with the picture beside it.

    Args:
        comparison: Two runs or more.
        picture: File name of the picture.
        wanted: The coverage that each run was to have, by its run_id.
    """
    best, several = comparison.runs[0], comparison.series > 1
    clear = [each.run_id for each in comparison.runs[1:] if each.behind > each.margin]
    doubtful = [each.run_id for each in comparison.runs[1:] if each.run_id not in clear]
    head = f"**No clear difference between {best.run_id} and {listed(doubtful)}.**" if doubtful else ""
    if clear:
        head = f"**{best.run_id} is better than {listed(clear)}.** {head}"
    errors = ["relative RMSE", "best in"] if several else ["RMSE", "MAE"]
    ends = pd.DatetimeIndex([comparison.first, comparison.last])
    first, last = ends.strftime(time_format(ends))
    rows = [_row(each, several, wanted[each.run_id]) for each in comparison.runs]
    of_series = f" of {comparison.series:,} series" if several else ""
    return (
        "\n\n".join(
            [
                "# Runs side by side",
                head.rstrip(),
                f"{comparison.windows:,} test windows{of_series} that all runs have, "
                f"with {comparison.targets:,} observed targets from {first} to {last}.",
                table(["run", *errors, "coverage", f"behind {best.run_id}"], rows),
                f"Behind: the share of the RMSE that {best.run_id} saves, give or take what chance may add or take "
                f"({CONFIDENCE:.0%}, from a bootstrap over stretches of one horizon). Test targets must not choose: "
                "`validation_rmse` does.",
                f"![Runs side by side]({picture})",
            ]
        )
        + "\n"
    )


def plot_comparison(comparison: Comparison) -> Figure:
    """RMSE at each step, and how far each run is behind the best one."""
    figure, axes = panels(1, 2, height=HEIGHT)
    left, right = axes[0]
    shades = colors(len(comparison.runs))
    for each, color in zip(comparison.runs, shades, strict=True):
        steps = np.arange(1, len(each.by_step) + 1)
        left.plot(steps, each.by_step, color=color, marker=marker(len(steps)), label=each.run_id)
    finish(left, "Error by horizon", xlabel="steps ahead", ylabel="RMSE" if comparison.series == 1 else "relative RMSE")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set_ylim(bottom=0)
    others = comparison.runs[1:]
    places = np.arange(len(others))[::-1]
    for each, place, color in zip(others, places, shades[1:], strict=True):
        margin = 0 if math.isnan(each.margin) else each.margin
        right.errorbar(each.behind, place, xerr=margin, fmt="o", color=color, elinewidth=2, capsize=4)
    right.axvline(0, color=ACTUAL, lw=1)
    right.set_yticks(places, [each.run_id for each in others], parse_math=False)
    right.set_ylim(-0.6, len(others) - 0.4)
    right.xaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    finish(right, f"Behind {comparison.runs[0].run_id}, {CONFIDENCE:.0%} interval", xlabel="share of the RMSE")
    legend(figure, axes.flat)
    return figure


def _row(each: RunScore, several: bool, wanted: float) -> list[str]:
    errors = [number(each.relative_rmse), f"{each.wins:,}"] if several else [number(each.rmse), number(each.mae)]
    behind = f"{each.behind:.1%}" if math.isnan(each.margin) else f"{each.behind:.1%} {give_or_take(each.margin)}"
    return [each.run_id, *errors, f"{each.coverage:.1%} of {percent(wanted)}", behind]
