"""The shape of the house: imports point one way, dvc.yaml spells the contract, light stages stay light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from spline_lstm.run.contract import RunPaths, SharedPaths
from spline_lstm.run.params import Params
from spline_lstm.scores.metrics import POINT_METRICS

CONTRACT_PAGE = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES = PIPELINE["stages"]
RUN = RunPaths(Path("artifacts"), "${run_id}")
SHARED_PATHS = SharedPaths(Path("artifacts"))
MODULES = sorted(
    path.relative_to(ROOT) for folder in ("spline_lstm", "stages") for path in (ROOT / folder).rglob("*.py")
)
ROOMS = ("run", "audit", "data", "model", "scores", "pages")  # each imports from itself and those before it
READ_PARAMS = {
    "preprocess": {"run_id", "data", "covariates", "split", "windows", "gaps"},
    "train": {"run_id", "seed", "covariates.calendar", "spline", "model", "train"},
    "evaluate": {"run_id", "evaluate"},
    "forecast": {"run_id"},
    "report": {"params.yaml"},  # whole: it says of each setting whether it was given, and records all
    "check": {"run_id"},
    "backtest": {
        *("run_id", "seed", "data", "covariates", "split", "windows", "gaps", "spline", "model", "train", "evaluate"),
        "backtest",
    },
}


def module_file(name: str) -> Path | None:
    base = Path(*name.split("."))
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        if (ROOT / file).is_file():
            return file
    return None


@cache
def imports(file: Path) -> frozenset[Path]:
    """Files of this project that a file imports, packages on the way included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    prefixes = {".".join(name.split(".")[: length + 1]) for name in names for length in range(name.count(".") + 1)}
    return frozenset(found for name in prefixes if (found := module_file(name)))


def closure(file: Path) -> set[Path]:
    seen: set[Path] = set()
    todo = {file}
    while todo:
        seen |= todo
        todo = set().union(*(imports(each) for each in todo)) - seen
    return seen


def test_imports_have_no_cycle_and_never_point_to_the_stages():
    for file in MODULES:
        reached = closure(file)
        for other in reached - {file}:
            if other.name != "__init__.py":
                assert file not in closure(other), f"{file} and {other} import each other"
        if file.parts[0] == "spline_lstm":
            assert not any(other.parts[0] == "stages" for other in reached)


def room(file: Path) -> str | None:
    """The room of the library that a module stands in."""
    return file.parts[1] if file.parts[0] == "spline_lstm" and len(file.parts) > 2 else None


def test_every_module_stands_in_a_room_and_rooms_import_downwards():
    for file in MODULES:
        if file.parts[0] == "spline_lstm":
            assert room(file) in ROOMS or file == Path("spline_lstm/__init__.py")
            for other in imports(file):
                assert ROOMS.index(room(other) or "run") <= ROOMS.index(room(file) or "run"), f"{file}: {other}"


def test_packages_hold_no_code():
    """Nothing may change from what no stage lists; each lists the package that all stages are run from."""
    for file in MODULES:
        if file.name == "__init__.py" and file != Path("stages/__init__.py"):
            assert len(ast.parse((ROOT / file).read_text(encoding="utf-8")).body) == 1


@pytest.mark.parametrize("stage", STAGES)
def test_deps_name_the_rooms_that_a_stage_uses_and_no_others(stage):
    reached = [file for file in closure(Path(f"stages/{stage}.py")) if file.name != "__init__.py"]
    reached.append(Path("stages/__init__.py"))
    used = {f"spline_lstm/{room(file)}" if room(file) else file.as_posix() for file in reached}
    listed = {dep for dep in STAGES[stage]["deps"] if dep.startswith(("spline_lstm", "stages"))}

    assert listed == used


def test_an_edit_of_a_page_trains_and_scores_nothing_again():
    assert [name for name, stage in STAGES.items() if "spline_lstm/pages" in stage["deps"]] == ["report"]


def test_stages_stand_in_their_order():
    assert list(STAGES) == ["preflight", *RUN.artifacts(), "check"]


def test_python_caches_do_not_count_as_changes():
    assert "__pycache__/" in (ROOT / ".dvcignore").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("stage", RUN.artifacts())
def test_outs_are_exactly_the_contract(stage):
    outs = set(STAGES[stage]["outs"])
    run_scoped = {out for out in outs if "${run_id}" in out}

    assert run_scoped == {str(path) for path in RUN.artifacts()[stage]}


def test_the_contract_page_names_every_artifact_and_point_metric():
    named = RunPaths(Path(), "{run_id}")
    files = [file for group in named.artifacts().values() for file in group if file.suffix != ".png"]

    for file in files:
        assert f"`{file}`" in CONTRACT_PAGE or f"`{file.name}`" in CONTRACT_PAGE, file
    for measure in POINT_METRICS:
        assert f"`{measure.__name__}`" in CONTRACT_PAGE


def test_stable_outs_are_exactly_the_shared_paths():
    outs = {out for stage in STAGES.values() for out in stage["outs"] if "${run_id}" not in out}
    metrics = [next(iter(entry)) for stage in STAGES.values() for entry in stage.get("metrics", [])]

    assert outs == {
        str(path)
        for path in (
            SHARED_PATHS.preflight,
            SHARED_PATHS.history,
            SHARED_PATHS.predictions,
            SHARED_PATHS.horizon_errors,
        )
    }
    assert metrics == [str(SHARED_PATHS.metrics)]


def test_a_stage_reads_what_earlier_stages_leave():
    """But the backtest, which does all of it anew for each fold."""
    order = list(RUN.artifacts())
    for position, stage in enumerate(order[1:], start=1):
        upstream = {str(path) for name in order[:position] for path in RUN.artifacts()[name]}
        assert stage == "backtest" or upstream <= set(STAGES[stage]["deps"])


@pytest.mark.parametrize("stage", READ_PARAMS)
def test_params_of_a_stage_are_the_sections_it_reads(stage):
    named = {name for entry in STAGES[stage]["params"] for name in (entry if isinstance(entry, dict) else [entry])}

    assert named == READ_PARAMS[stage]
    tree = ast.parse((ROOT / "stages" / f"{stage}.py").read_text(encoding="utf-8"))
    attributes = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    read = {section for section in Params.model_fields if f"params.{section}" in attributes}
    assert "params.yaml" in named or read <= {name.split(".")[0] for name in named}


def test_commands_are_constant_and_outs_are_files():
    for stage in STAGES.values():
        assert "$" not in stage["cmd"]
        assert all(Path(out if isinstance(out, str) else next(iter(out))).suffix for out in stage["outs"])


def test_every_stage_waits_for_preflight():
    for name, stage in STAGES.items():
        assert name == "preflight" or str(SHARED_PATHS.preflight) in stage["deps"]


@pytest.mark.parametrize("stage", ["preflight", "preprocess", "check", "forecast", "backtest", "report"])
def test_light_stages_do_not_import_tensorflow(stage):
    code = f"import sys, stages.{stage}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_importing_tensorflow_leaves_matplotlib_to_those_who_draw():
    code = (
        "import sys; from stages._run import import_tensorflow; import_tensorflow(); import keras; "
        "assert not [name for name in sys.modules if name.startswith('matplotlib')]; import matplotlib.pyplot"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("stage", STAGES)
def test_help_explains_the_stage(stage):
    done = subprocess.run(
        [sys.executable, "-m", f"stages.{stage}", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert f"python -m stages.{stage}" in done.stdout
    assert len(done.stdout.splitlines()) > 3


def test_contributing_names_files_that_exist_and_rooms_as_they_import():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

    files = set(re.findall(r"`([\w./]+\.(?:py|md|yaml|toml|lock))`", page))
    assert len(files) > 15
    for name in files:
        assert (ROOT / name).is_file(), name
    assert " -> ".join(ROOMS) in page
    assert set(re.findall(r"make ([\w-]+)", page)) <= set(
        re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    )


def test_the_lock_file_holds_hashes_and_no_addresses():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")

    assert "://" not in lock
    assert lock.count("==") <= lock.count("--hash=sha256:")
