"""What pip installs runs the stages in any folder that holds a params.yaml."""

from __future__ import annotations

import shutil
import sys

import pytest
from conftest import Project


@pytest.mark.parametrize("way", [[], ["--editable"]], ids=["copied", "editable"])
def test_an_installed_project_runs_elsewhere(project, tmp_path, way):
    pytest.importorskip("setuptools", minversion="77", reason="pip would fetch setuptools to build with")
    user = Project(tmp_path / "user")
    user.path.mkdir()
    shutil.copy(project.path / "params.yaml", user.path)
    shutil.copytree(project.path / "data", user.path / "data")
    environment = tmp_path / "environment"
    user.ok(sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", str(environment))
    python = str(environment / "bin" / "python")
    (environment / f"lib/python3.{sys.version_info.minor}/site-packages/ours.pth").write_text(
        "\n".join(path for path in sys.path if path.endswith("site-packages"))
    )

    user.ok(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", *way, str(project.path))
    for stage in ("preflight", "preprocess"):
        user.ok(python, "-m", f"stages.{stage}")

    assert (user.path / "artifacts/processed/co2-weekly/processed.npz").is_file()
    found = user.ok(python, "-c", "import stages, spline_lstm; print(stages.__file__, spline_lstm.__file__)")
    assert found.count(str(project.path if way else environment)) == 2
