"""The how-to's blocks work as they stand, section by section, each in a fresh clone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import ROOT, Project

BLOCK = re.compile(r"^```(bash|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLE = ROOT / "examples" / "nyc-weather"


def sections() -> dict[str, str]:
    page = (ROOT / "docs" / "howto.md").read_text(encoding="utf-8")
    _, *parts = re.split(r"^## (.*)$", page, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def named(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """What a block of YAML says, as `section__key`."""
    values: dict[str, Any] = {}
    for key, value in content.items():
        values |= named(value, f"{prefix}{key}__") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return values


def follow(project: Project, section: str) -> str:
    """Do what a section says: run its commands, write its YAML to params.yaml. What was printed."""
    printed = ""
    for language, block in BLOCK.findall(section):
        if language == "yaml":
            project.set(**named(yaml.safe_load(block)))
        else:
            printed += project.ok("bash", "-e", "-o", "pipefail", "-c", block)
    return printed


def own_series(project: Project, printed: str) -> None:
    assert "step h:" in printed
    assert len(pd.read_csv(project.path / "next.csv")) == 24


def many_series(project: Project, printed: str) -> None:
    assert list(pd.read_csv(project.paths("airports").series_scores)["series_id"]) == ["EWR", "JFK", "LGA"]
    assert "EWR/dew: " in printed
    assert "left out: NEW " in printed


def covariates(project: Project, printed: str) -> None:
    assert "visitors (past), price (future), offer (future, 2 categories), size (static)" in printed
    own, later = (pd.read_csv(file) for file in (project.paths("shops").forecast, project.path / "next.csv"))
    assert set(own["origin"]) == {"2024-10-26"}
    assert set(later["origin"]) == {"2024-11-02"}
    assert len(own) == len(later) == 3 * 7
    assert json.loads(project.paths("shops").training.read_bytes())["delays"]


def calendar(project: Project, printed: str) -> None:
    assert "closed hours Sat-Sun, 17:00-09:00" in printed
    hours = pd.to_datetime(pd.read_csv(project.paths("counter").forecast)["timestamp"], utc=True)
    local = hours.dt.tz_convert("Europe/Berlin")
    assert local.dt.hour.between(9, 17).all()
    assert (local.dt.weekday < 5).all()


CLAIMS = {
    "Your own series": own_series,
    "Many series": many_series,
    "Covariates": covariates,
    "Calendar and clock": calendar,
}


def test_each_section_has_a_test():
    assert list(sections()) == list(CLAIMS)


@pytest.mark.parametrize("title", CLAIMS)
def test_a_section_of_the_how_to_does_what_it_says(project, title):
    project.set(train__epochs=1, model__units=4, covariates__calendar=False)  # what is not given here is quick

    printed = follow(project, sections()[title])

    (forecast,) = (project.path / "artifacts" / "forecasts").glob("*.csv")
    assert project.stage("check", "--run-id", forecast.stem).returncode == 0
    assert pd.read_csv(forecast)["y_pred"].notna().all()
    CLAIMS[title](project, printed)


def test_the_block_of_the_readme_reads_a_long_table_of_one_target_or_several(project):
    (block,) = [
        text for kind, text in BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8")) if kind == "yaml"
    ]
    table = pd.read_csv(EXAMPLE / "weather.csv", usecols=["origin", "time_hour", "temp", "dewp"])
    table.columns = ["unique_id", "ds", "y", "z"]
    table.groupby("unique_id").head(1000).to_csv(project.path / "my.csv", index=False)
    values = named(yaml.safe_load(block))

    for target, names in {"y": ["EWR", "JFK", "LGA"], ("y", "z"): ["EWR/y", "EWR/z", "JFK/y", "JFK/z"]}.items():
        project.set(**{**values, "data__target": target if target == "y" else list(target)})
        project.set(train__epochs=1, model__units=4, covariates__calendar=False)
        for stage in ("preflight", "preprocess", "train", "evaluate"):
            done = project.stage(stage)
            assert done.returncode == 0, done.stderr
        scores = pd.read_csv(project.paths(values["run_id"]).series_scores)
        assert list(scores["series_id"])[: len(names)] == names
        assert scores["rmse"].notna().all()


def test_the_example_has_every_line_of_the_settings_with_its_comment():
    ours, example = (
        re.sub(r":.*?(#.*)?$", r":\1", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for file in (ROOT / "params.yaml", EXAMPLE / "params.yaml")
    )

    assert example == ours
