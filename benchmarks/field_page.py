"""What the field benchmark found, and the section of docs/benchmarks.md that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import gmean

from benchmarks.field_scores import COVERAGES, allowed
from benchmarks.field_series import Series
from benchmarks.field_windows import HISTORY, LEAST, MOST
from benchmarks.page import machine, spread, table

PEERS = ("AutoETS", "AutoTheta", "MSTL", "LightGBM")
LIMIT = 900  # seconds for a peer on a file
NOMINAL = sorted(COVERAGES)
LEVELS = " / ".join(f"{100 * coverage:g}" for coverage in NOMINAL) + " %"
Scores = Mapping[str, float]


@dataclass(frozen=True)
class Found:
    """What was measured on a file.

    Attributes:
        read: What was read of each seed's run.
        ours: Scores of each seed's run on the compared windows, `seconds` among them.
        peers: The same of each peer that came to an end.
        failed: What kept each other peer from it.
        versions: Of the packages that peers are from.
    """

    read: Sequence[Mapping[str, Any]]
    ours: Sequence[Scores]
    peers: Mapping[str, Scores]
    failed: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def best_peer(self) -> str:
        return min(self.peers, key=lambda name: self.peers[name]["rmse"])

    @property
    def against_best(self) -> list[float]:
        """Each seed's RMSE as a share of the best peer's."""
        return [one["rmse"] / self.peers[self.best_peer]["rmse"] for one in self.ours]

    @property
    def against_ridge(self) -> list[float]:
        return [one["ridge"] for one in self.read]

    @property
    def loss_against_ets(self) -> list[float]:
        """Each seed's weighted quantile loss as a share of AutoETS'; of nothing where that failed."""
        return [one["wql"] / self.peers["AutoETS"]["wql"] for one in self.ours if "AutoETS" in self.peers]


def section(
    seeds: Sequence[int],
    jobs: int,
    series: Mapping[str, Series],
    found: Mapping[str, Found],
    left_out: Mapping[str, str],
) -> str:
    """The section of the page: what was asked for, what all files say together, and each file's scores."""
    versions = {package: version for one in found.values() for package, version in one.versions.items()}
    return "\n\n".join(
        [
            "Defaults, told only where the columns are, the horizon, of parking to keep the last of repeated rows and "
            "drop bad series, of New York its time zone; seeds "
            f"{', '.join(map(str, seeds))}, mean ± standard deviation; runs at a time: {jobs}. {_conditions()}",
            *(f"Left out: {name}, since {reason}." for name, reason in left_out.items()),
            _summary(found),
            *(f"{_about(name, series[name], one)}\n\n{_scores_table(one)}" for name, one in found.items()),
            f"{machine()}; {', '.join(f'{package} {version}' for package, version in versions.items())}.",
        ]
    )


def _conditions() -> str:
    return (
        f"At most {MOST} windows of a file are compared; where fewer than {LEAST} share no target, some that do. "
        f"Peers had {LIMIT // 60} minutes for a file and a history of {HISTORY:,} steps at most. Seconds are a peer's "
        "for the compared windows, one peer after the other, imports not counted, and ours for preprocess, train and "
        "evaluate with all test windows, imports and all."
    )


def _about(name: str, series: Series, found: Found) -> str:
    one = found.read[0]
    shares = [each["shares"]["members"] for each in found.read]
    several = f"{one['series']} series, " if one["series"] > 1 else ""
    return (
        f"**{name}**: {several}{one['compared']} of {one['windows']:,} test windows, horizon {series.horizon}; peers' "
        f"seasons {', '.join(map(str, series.seasons))}. Derived: seasons {one['settings']['seasons']}, lookback "
        f"{one['settings']['lookback']}. Share of the recurrence: {spread(shares, 2)}."
    )


def _scores_table(found: Found) -> str:
    rows = [["**Spline-LSTM**", *_cells(found.ours)]]
    rows += [
        [peer, *_cells([found.peers[peer]])] if peer in found.peers else [peer, found.failed[peer], *[""] * 4]
        for peer in PEERS
    ]
    return table(["", "RMSE", "MAE", "WQL", f"coverage of {LEVELS}", "seconds"], rows)


def _cells(scored: Sequence[Scores]) -> list[str]:
    errors = [spread([one[key] for one in scored], 3) for key in ("rmse", "mae")]
    loss, seconds = spread([one["wql"] for one in scored], 5), spread([one["seconds"] for one in scored], 1)
    return [*errors, loss, _percent([[one[str(coverage)] for one in scored] for coverage in NOMINAL]), seconds]


def _percent(shares: Sequence[Sequence[float]]) -> str:
    return " / ".join(f"{100 * np.mean(values):.1f}" for values in shares)


def _summary(found: Mapping[str, Found]) -> str:
    """Each file's ratios, their geometric means, and the worst of any seed."""
    ratios = [[one.against_best, one.against_ridge, one.loss_against_ets] for one in found.values()]
    rows = [
        [name, one.best_peer, *(spread(seeds, 3) if seeds else "" for seeds in of_file), *_coverage(one)]
        for (name, one), of_file in zip(found.items(), ratios, strict=True)
    ]
    columns = [[seeds for seeds in column if seeds] for column in zip(*ratios, strict=True)]
    means = [f"{gmean([np.mean(seeds) for seeds in column]):.3f}" if column else "" for column in columns]
    worst = [f"{max(map(max, column)):.3f}" if column else "" for column in columns]
    rows += [["geometric mean", "", *means, "", ""], ["worst, any seed", "", *worst, "", ""]]
    header = ["", "best peer", "RMSE against it", "RMSE against own ridge, all test windows", "WQL against AutoETS"]
    return table([*header, f"coverage of {LEVELS}, all test windows", "may differ by, points"], rows)


def _coverage(found: Found) -> list[str]:
    """That of all test windows, and how far from the nominal one so many independent windows may be."""
    had = [[one["coverage"][str(coverage)] for one in found.read] for coverage in NOMINAL]
    may = [[allowed(coverage, found.read[0]["independent"])] for coverage in NOMINAL]
    return [_percent(had), _percent(may)]
