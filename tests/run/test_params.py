"""params.yaml is valid or every mistake in it is told at once."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from spline_lstm.run.errors import InputNotFoundError, ParamsError
from spline_lstm.run.params import (
    DataParams,
    SplitParams,
    adopt_params,
    load_params,
    parse_params,
    set_params,
    written_params,
)

SHIPPED = Path(__file__).parents[2] / "params.yaml"


def shipped(**changes):
    """The content of the shipped file; `a__b` sets `a.b`."""
    content = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    for name, value in changes.items():
        *sections, key = name.split("__")
        section = content
        for part in sections:
            section = section[part]
        section[key] = value
    return content


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A copy of the shipped file in a folder that holds its input."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.read_text(encoding="utf-8"), encoding="utf-8")
    for name in (shipped()["data"]["path"], "other.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return path


def test_the_shipped_file_is_valid_and_names_every_setting():
    params = load_params(SHIPPED)

    written = shipped()
    dumped = params.model_dump(mode="json")
    assert set(written) == set(dumped)
    for name, section in dumped.items():
        if isinstance(section, dict):
            assert set(written[name]) == set(section)


def test_every_default_is_the_shipped_value_or_derived():
    short = {"run_id": "demo", "data": {"path": "a.csv", "timestamp": "t", "target": "y"}, "windows": {"horizon": 26}}

    defaults, written = parse_params(short), load_params(SHIPPED)

    for name in ("seed", "split", "gaps", "spline", "model", "train", "evaluate", "windows"):
        assert getattr(defaults, name) == getattr(written, name)


def test_all_mistakes_are_in_one_message():
    content = shipped(
        run_id="a b", seed=-1, train__epochs=0, train__learning_rate="fast", model__cell="rnn", split__train=1.5
    )
    del content["windows"]["horizon"]

    with pytest.raises(ParamsError) as caught:
        parse_params(content)

    message = str(caught.value)
    assert "7 mistake(s)" in message
    for name in ("run_id", "seed", "epochs", "learning_rate", "cell", "split.train", "windows.horizon"):
        assert name in message
    for received in ("'a b'", "-1", "0", "'fast'", "'rnn'", "1.5", "nothing"):
        assert f"Received: {received}" in message


@pytest.mark.parametrize(
    ("change", "name", "nearest"),
    [
        ({"sead": 1}, "sead", "seed"),
        ({"train__epoch": 1}, "train.epoch", "train.epochs"),
        ({"train__lr": 0.1}, "train.lr", "train.learning_rate"),
        ({"model__unit": 3}, "model.unit", "model.units"),
        ({"split__validate": 0.1}, "split.validate", "split.validation"),
    ],
)
def test_an_unknown_key_gets_the_nearest_known_name(change, name, nearest):
    with pytest.raises(ParamsError, match=f"`{name}` must be a known key.*Did you mean `{nearest}`"):
        parse_params(shipped(**change))


WRONG_FORMATS = ["", "%", "%Q", "%s", "%Y-%m-%d %", "%Y-%Y", "%G-%V", "%-d.%m.%Y", "%H:%M", "%d.%m.", "mixed", "\0"]
WRONG_FORMATS += ["%d.%m.%Y %I:%M", "%d.%m.%Y %H:%M %p", "%Y-%m-%dT%H:%M:%SZ", "%Y %W", "%y %U"]
WRONG_STEPS = ["fortnightly", "daily", "", "W-FOO", "0h", "0W", "-1h", "-1MS", "10^20D", f"{10**20}D"]


@pytest.mark.parametrize(
    "change",
    [
        {"run_id": 20240101},
        {"seed": True},
        {"seed": 1.5},
        {"seed": 2**31},
        {"train__epochs": "3"},
        {"train__epochs": 3.0},
        {"train__batch_size": 0},
        {"train__epochs": 10**6},
        {"train__learning_rate": 0},
        {"train__learning_rate": True},
        {"train__learning_rate": 1e38},
        {"train__learning_rate": float("nan")},
        {"train__learning_rate": float("inf")},
        {"windows__horizon": None},
        {"windows__lookback": 0},
        {"gaps__max_missing": 1.0},
        {"gaps__max_missing": "0.5"},
        {"gaps__seasons": -12},
        {"gaps__seasons": 1},
        {"gaps__seasons": True},
        {"gaps__seasons": "24"},
        {"gaps__seasons": [24, 24]},
        {"gaps__seasons": [24, 1.5]},
        {"gaps__seasons": [float("inf")]},
        {"spline__degree": 6},
        {"spline__penalty": -0.1},
        {"spline__penalty": False},
        {"model__dropout": 1.0},
        {"evaluate__coverage": 1.0},
        {"evaluate__coverage": [0.9, 1.0]},
        {"evaluate__coverage": [0.9, 0.9]},
        {"evaluate__coverage": [0.9, 0.900000001]},  # of which columns would have one name
        {"windows__lookback": 100_001},
        {"spline__segment": 2049},
        {"evaluate__coverage": []},
        {"evaluate__quantiles": [0]},
        {"data__minimum": True},
        {"data__minimum": "low"},
        {"data__maximum": float("inf")},
        {"data__maximum": True},
        {"data__maximum": "5"},
        {"data__maximum": 5, "data__minimum": 5},
        {"data__maximum": 5, "data__minimum": 6},
        {"data__maximum": -5, "data__minimum": 0},
        {"data__missing": [True]},
        {"data__missing": [""]},
        {"data__missing": [-999, -999.0]},
        {"data__log": "base 10"},
        {"evaluate__scale": "log"},
        *({name: 10**400} for name in ("split__train", "data__minimum", "data__missing", "gaps__seasons")),
        *({name: 10**400} for name in ("train__learning_rate", "evaluate__coverage", "spline__penalty")),
        {"split__train": float("inf")},
        {"split__train": 0},
        {"split__train": -5},
        {"split__train": 2.5},
        {"split__train": True},
        {"split__train": None},
        {"split__train": "NaT"},
        {"split__train": "no date"},
        {"split__train": "05.06.2024"},
        {"split__train": "2024-01-10T00:00+01:00"},
        {"split__validation": "99999-01-01"},
        {"data__path": ""},
        {"data__target": []},
        {"data__target": ["co2", "co2"]},
        {"data__timezone": "Mars/Olympus"},
        {"data__timezone": "../etc/passwd"},
        {"data__aggregate": "median"},
        {"data__closed": True},
        {"data__closed": "Saturday"},
        {"data__closed": ["Sat", 7]},
        *({"data__timestamp_format": pattern} for pattern in WRONG_FORMATS),
        *({"data__frequency": step} for step in WRONG_STEPS),
        {"windows__lookback": 10**20},
        {"backtest__windows": 0},
        *({"backtest__refit": refit} for refit in (0, -1, 2.0, "never", None)),
        {"data": None},
        {"windows": 26},
    ],
    ids=str,
)
def test_a_value_that_breaks_a_rule_is_named(change):
    name = next(iter(change)).replace("__", ".")

    with pytest.raises(ParamsError, match=rf"1 mistake\(s\): `{name}`.*Received: "):
        parse_params(shipped(**change))


@pytest.mark.parametrize(
    "pattern",
    ["%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%M:%S.%f%z", "%b %d, %y %I:%M %p", "%G-W%V-%u", "%Y%j", "%Y", "%c %Z", None],
)
def test_a_format_of_strptime_that_tells_the_year_is_taken(pattern):
    assert parse_params(shipped(data__timestamp_format=pattern)).data.timestamp_format == pattern


@pytest.mark.parametrize("content", [None, [], "text", 7, {}, {7: 7}])
def test_what_is_no_mapping_of_sections_is_refused(content):
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        parse_params(content)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, None),
        ([], ()),
        (24, (24.0,)),
        (52.18, (52.18,)),
        ([168, 24], (24.0, 168.0)),
        ([7, 365.25], (7.0, 365.25)),
    ],
)
def test_seasons_are_derived_or_none_or_one_or_several_in_ascending_order(written, meant):
    assert parse_params(shipped(gaps__seasons=written)).gaps.seasons == meant


@pytest.mark.parametrize(
    ("coverage", "quantiles", "levels"),
    [
        (0.9, [], (0.9,)),
        ([0.9, 0.8], [0.5], (0.9, 0.8)),
        (0.9, [0.1, 0.5, 0.9], (0.9, 0.8)),
        ([0.5], 0.025, (0.5, 0.95)),
    ],
)
def test_levels_are_those_of_intervals_and_then_those_that_quantiles_border(coverage, quantiles, levels):
    assert parse_params(shipped(evaluate__coverage=coverage, evaluate__quantiles=quantiles)).evaluate.levels == levels


@pytest.mark.parametrize("bound", [None, False, 0, -1.5])
@pytest.mark.parametrize("name", ["minimum", "maximum"])
def test_a_bound_is_derived_or_none_or_a_number(bound, name):
    read = getattr(parse_params(shipped(**{f"data__{name}": bound})).data, name)

    assert (read, read is False) == (bound, bound is False)


def test_one_target_may_stand_without_a_list():
    assert DataParams(path="a.csv", timestamp="t", target="load").target == ("load",)
    assert DataParams(path="a.csv", timestamp="t", target=["load", "oil"]).target == ("load", "oil")


@pytest.mark.parametrize(
    ("closed", "expected"),
    [(None, None), (False, ()), ("Sat", ("Sat",)), (["Sat-Sun", "17:30-08:00"], ("Sat-Sun", "17:30-08:00"))],
)
def test_closed_hours_may_be_left_open_refused_or_listed(closed, expected):
    assert DataParams(path="a.csv", timestamp="t", target="load", closed=closed).closed == expected


def test_params_cannot_be_changed_in_memory():
    with pytest.raises(ValueError, match="frozen"):
        load_params(SHIPPED).train.epochs = 3


@pytest.mark.parametrize(
    "text", ["a: [", "a: b: c", "\t- a", "!!python/object/apply:os.getcwd []", "seed: 2024-13-45", "[" * 5000]
)
def test_what_is_no_yaml_is_refused(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(ParamsError, match=r"params\.yaml must be"):
        load_params(tmp_path / "params.yaml")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ParamsError, match="readable UTF-8"):
        load_params(tmp_path / "params.yaml")
    with pytest.raises(ParamsError, match="readable UTF-8"):
        load_params(tmp_path)


def test_a_missing_file_is_an_input_not_found(tmp_path):
    with pytest.raises(InputNotFoundError, match="from the root of the project"):
        load_params(tmp_path / "params.yaml")


def test_setting_values_keeps_comments_and_all_other_lines(file):
    before = file.read_text(encoding="utf-8").splitlines()

    params = set_params(["run_id=second", "train.epochs=3", "windows.lookback=52", "data.path=other.csv"], file)

    after = file.read_text(encoding="utf-8").splitlines()
    changed = [(old.split()[0], old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [key for key, _, _ in changed] == ["run_id:", "path:", "lookback:", "epochs:"]
    for _, old, new in changed:
        assert new.partition("#")[2] == old.partition("#")[2]
    assert params == load_params(file)
    assert (params.run_id, params.train.epochs, params.windows.lookback) == ("second", 3, 52)


def test_text_that_is_no_yaml_is_set_as_text(file):
    set_params(["data.timestamp_format=%d.%m.%Y %H:%M"], file)

    assert load_params(file).data.timestamp_format == "%d.%m.%Y %H:%M"


def test_closed_hours_can_be_set_and_adopted_as_they_are_written(file):
    hours = ("Sat-Sun", "17:30-08:00", "Mon-Fri 12:00-13:00")

    changed = set_params([f"data.closed=[{', '.join(hours)}]"], file)

    assert changed.data.closed == load_params(file).data.closed == hours
    for closed in (list(hours[:1]), [], None):
        recorded = shipped(data__closed=closed)
        assert adopt_params(recorded, file) == parse_params(recorded) == load_params(file)


@pytest.mark.parametrize("value", ["[]", "null", "[c]", "c"])
@pytest.mark.parametrize(
    "written",
    [
        "past:        # covariates\n\n  - a\n  - b   # the other\n",
        "past:\n  - a\n  - b\n\n",
        "past: [a,  # one\n    b]  # two\n",
        "past:   # none\n",
    ],
    ids=["block", "bare block", "flow", "nothing"],
)
def test_a_list_can_be_replaced_however_it_was_written(file, written, value):
    text = file.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines(keepends=True) if line.startswith("  past:"))
    file.write_text(text.replace(line, f"  {written}"), encoding="utf-8")
    before = written_params(file)

    set_params([f"covariates.past={value}"], file)

    before["covariates"]["past"] = yaml.safe_load(value)
    assert written_params(file) == before


def test_a_section_can_be_set_and_then_a_value_in_it(file):
    assert set_params(["split={train: 0.5}", "split.validation=0.25"], file).split == SplitParams(
        train=0.5, validation=0.25
    )


def test_setting_a_value_to_what_it_is_changes_no_byte(file):
    quoted = file.read_text(encoding="utf-8").replace("timestamp: date ", 'timestamp: "date" ')
    file.write_text(quoted, encoding="utf-8")
    before = file.read_bytes()

    set_params([f"seed={shipped()['seed']}", "windows.lookback=null"], file)

    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("assignments", "error"),
    [
        (["train.epochs=0"], ParamsError),
        (["train.epochs=3", "train.epoch=3"], ParamsError),
        (["run_id=../up"], ParamsError),
        (["run_id="], ParamsError),
        (["train.epochs"], ParamsError),
        (["optimizer.name=adam"], ParamsError),
        (["seed.of.what=3"], ParamsError),
        (["=3"], ParamsError),
        (["train={"], ParamsError),
        (["train=3"], ParamsError),
        (["data.path=absent.csv"], InputNotFoundError),
    ],
)
def test_a_change_that_is_not_valid_leaves_the_file_alone(file, assignments, error):
    before = file.read_bytes()

    with pytest.raises(error):
        set_params(assignments, file)

    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == ["data", "other.csv", "params.yaml"]


def test_a_key_that_stands_twice_is_refused(file):
    file.write_text(file.read_text(encoding="utf-8") + "\nseed: 8\n", encoding="utf-8")

    with pytest.raises(ParamsError, match="seed"):
        set_params(["train.epochs=3"], file)
    with pytest.raises(ParamsError, match="seed"):
        load_params(file)


# Words that YAML turns into numbers, dates or truth values unless they are quoted.
yaml_words = st.sampled_from(
    ["007", "1e5", "20240101_1200", "2024-01-01", "0x1F", "1_000", "yes", "No", "on", "null", "1."]
)


@given(run_id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True) | yaml_words)
@settings(max_examples=40)
def test_a_run_id_that_was_set_is_read_back_as_it_is(tmp_path_factory, run_id):
    folder = tmp_path_factory.mktemp("params")
    (folder / "input.csv").touch()
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(shipped(data__path=str(folder / "input.csv"))), encoding="utf-8")

    set_params([f"run_id={run_id}"], path)

    assert load_params(path).run_id == run_id


def test_adopting_what_the_file_says_changes_no_byte(file):
    before = file.read_bytes()

    adopt_params(written_params(file), file)

    assert file.read_bytes() == before


def test_adopting_a_run_changes_what_differs_and_keeps_comments(file):
    recorded = shipped(run_id="old", model__cell="gru", train__epochs=2, data__target=["a", "b"])

    assert adopt_params(recorded, file) == parse_params(recorded)

    before, after = SHIPPED.read_text(encoding="utf-8").splitlines(), file.read_text(encoding="utf-8").splitlines()
    changed = [line for line in after if line not in before]
    assert 4 <= len(changed) <= 6
    assert all(
        comment in "\n".join(after)
        for comment in ("# width of the recurrent state", "# at most", "# column to forecast")
    )


def test_adopting_mends_a_file_that_breaks_rules(file):
    recorded = written_params(file)
    file.write_text(file.read_text(encoding="utf-8").replace("cell: lstm", "cell: rnn"), encoding="utf-8")

    assert adopt_params(recorded, file) == parse_params(recorded)


@pytest.mark.parametrize("name", ["split.train", "run_id"])
def test_adopting_mends_a_date_that_was_written_as_no_text(file, name):
    set_params([f"{name}='2001-12-31'" if name == "split.train" else f"{name}=2001-12-31"], file)
    recorded = written_params(file)
    file.write_text(file.read_text(encoding="utf-8").replace("'2001-12-31'", "2001-12-31"), encoding="utf-8")
    with pytest.raises(ParamsError, match=name):
        parse_params(written_params(file))

    assert adopt_params(recorded, file) == parse_params(recorded)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("evaluate.coverage", "0.9", "[0.9, 0.8]"),
        ("evaluate.coverage", "[0.9]", "0.9"),
        ("gaps.seasons", "52", "52.0"),
        ("data.minimum", "0", "false"),
        ("data.minimum", "300", "300.0"),
        ("covariates.past", "null", "[]"),
        ("data.series_id", "[shop]", "shop"),
        ("split.validation", "30", "'2001-12-31'"),
    ],
)
def test_a_run_is_adopted_in_the_words_in_which_it_was_written(file, name, one, other):
    set_params([f"{name}={one}"], file)
    before = written_params(file)
    set_params([f"{name}={other}"], file)

    adopt_params(json.loads(json.dumps(before)), file)

    assert repr(written_params(file)) == repr(before)  # in which 1, 1.0 and true differ


def test_a_setting_that_a_run_was_made_without_is_taken_out(file):
    before = written_params(file)
    del before["spline"], before["data"]["log"]

    adopt_params(before, file)

    assert written_params(file) == before


def test_what_this_version_does_not_take_is_not_adopted(file):
    before = file.read_bytes()

    with pytest.raises(ParamsError, match=r"^the record of the run has 1 mistake.*unknown"):
        adopt_params({**shipped(), "nonsense": 1}, file)
    assert file.read_bytes() == before
