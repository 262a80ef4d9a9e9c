"""The files of the field benchmark and what must be said of each: where its columns are, and the horizon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.runs import ROOT

FIELD = ROOT.parent / "shared" / "data" / "field"


@dataclass(frozen=True)
class Series:
    """A file.

    Attributes:
        file: In the folder of the data, or anywhere.
        horizon: Steps to forecast.
        seasons: In steps; peers are told, the product finds its own.
        columns: Params that say where they are, as `section.key`.
    """

    file: Path
    horizon: int
    seasons: tuple[int, ...]
    columns: Mapping[str, Any] = field(default_factory=dict)

    def params(self, folder: Path) -> dict[str, Any]:
        """All that a run is told, as `section.key`."""
        return {"data.path": str((folder / self.file).resolve()), "windows.horizon": self.horizon, **self.columns}


SERIES = {
    "airline": Series(Path("airline.csv"), 12, (12,), {"data.timestamp": "Month", "data.target": "Passengers"}),
    "sunspots": Series(Path("sunspots.csv"), 24, (132,), {"data.timestamp": "Month", "data.target": "Sunspots"}),
    "mintemp": Series(Path("mintemp.csv"), 14, (365,), {"data.timestamp": "Date", "data.target": "Temp"}),
    "CO2": Series(ROOT / "data" / "raw" / "co2_weekly.csv", 26, (52,)),
    "parking": Series(
        Path("parking.csv"),
        18,
        (20, 140),  # a day and a week on its grid, which leaves nights out
        {
            "data.timestamp": "LastUpdated",
            "data.target": "Occupancy",
            "data.series_id": "SystemCodeNumber",
            "data.duplicates": "last",
            "data.on_bad_series": "drop",
        },
    ),
    "New York temperature": Series(
        Path("nyc_weather.csv"),
        24,
        (24,),
        {
            "data.timestamp": "time_hour",
            "data.target": "temp",
            "data.series_id": "origin",
            "data.timezone": "America/New_York",
        },
    ),
}


def present(folder: Path) -> tuple[dict[str, Series], dict[str, str]]:
    """The series whose file is there, and why each other one is left out."""
    there = {name: series for name, series in SERIES.items() if (folder / series.file).is_file()}
    reasons = {
        name: f"{series.file.name} does not exist in the folder of the data"
        for name, series in SERIES.items()
        if name not in there
    }
    return there, reasons
