"""Margins of the skill are those of a bootstrap over stretches of time, and honest where errors are alike."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t
from sources import symmetric_forecasts

from spline_lstm.scores.doubt import AT_ONCE, BETTER, CONFIDENCE, DRAWS, SEED, UNCLEAR, WORSE, skill_margins, verdict
from spline_lstm.scores.evaluation import evaluate_forecasts

HORIZON = 3


def forecasts_of(y_true, y_pred, rows, origins):
    return symmetric_forecasts(rows, origins, y_true, y_pred)


def random_windows(rng, rows, windows, missing=0.2):
    which, origins = rng.integers(0, rows, windows), rng.integers(5, 30, windows)
    which[:rows] = np.arange(rows)
    y_true, y_pred = rng.normal(size=(2, windows, HORIZON))
    y_true[rng.random(y_true.shape) < missing] = np.nan
    y_true[:rows, 0] = 1.0
    return forecasts_of(y_true, y_pred, which, origins)


def slow_margins(forecasts, baselines, best):
    """Stretches drawn one by one, squares added up target by target."""
    first = min(forecasts.origins)
    sums = {}
    for window, (row, origin) in enumerate(zip(forecasts.rows, forecasts.origins, strict=True)):
        for step in range(HORIZON):
            target = forecasts.y_true[window, step]
            if not math.isnan(target):
                cell = sums.setdefault((origin - first + step) // HORIZON, {}).setdefault(row, {})
                for name, table in {"model": forecasts.y_pred, **baselines}.items():
                    cell[name] = cell.get(name, 0.0) + (target - table[window, step]) ** 2
    stretches = sorted(sums)

    def skills(drawn):
        ratios = {name: [] for name in ("model", *baselines)}
        of_rows = np.full(len(best), np.nan)
        for row, reference in enumerate(best):
            cells = [sums[stretch][row] for stretch in drawn if row in sums[stretch]]
            if cells:
                for name, values in ratios.items():
                    squares = sum(cell[name] for cell in cells)
                    values.append(math.sqrt(squares / sum(cell[reference] for cell in cells)))
                of_rows[row] = 1 - ratios["model"][-1]
        return [1 - np.mean(ratios["model"]) / np.mean(ratios[name]) for name in baselines], of_rows

    random = np.random.default_rng(SEED)
    share = np.full(len(stretches), 1 / len(stretches))
    every = [draw for _ in range(DRAWS // AT_ONCE) for draw in random.multinomial(len(stretches), share, AT_ONCE)]
    drawn = [skills(np.repeat(stretches, times)) for times in every]
    quantile = (1 + CONFIDENCE) / 2
    whole = np.std([skill for skill, _ in drawn], axis=0, ddof=1) * t.ppf(quantile, len(stretches) - 1)
    counts = [sum(row in sums[stretch] for stretch in stretches) for row in range(len(best))]
    of_rows = np.nanstd([skill for _, skill in drawn], axis=0, ddof=1)
    return dict(zip(baselines, whole, strict=True)), [
        error * t.ppf(quantile, count - 1) if count > 1 else np.nan
        for error, count in zip(of_rows, counts, strict=True)
    ]


@given(seed=st.integers(0, 999), rows=st.integers(1, 3))
@settings(max_examples=5, deadline=None)
def test_margins_are_those_of_stretches_drawn_one_by_one(seed, rows):
    rng = np.random.default_rng(seed)
    forecasts = random_windows(rng, rows, windows=20)
    baselines = dict(zip(("flat", "low"), rng.normal(size=(2, 20, HORIZON)), strict=True))
    best = [("flat", "low")[row % 2] for row in range(rows)]

    whole, of_rows = skill_margins(forecasts, baselines, best)

    slow_whole, slow_of_rows = slow_margins(forecasts, baselines, best)
    assert whole == pytest.approx(slow_whole)
    np.testing.assert_allclose(of_rows, slow_of_rows)


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_of_equal_forecasts_few_are_said_to_differ(memory):
    """Though windows overlap and errors remember each other, false verdicts are about as rare as promised: 5 %."""
    horizon, steps, runs = 6, 150, 200
    wrong = 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        errors = rng.normal(size=(2, steps + horizon))
        for step in range(1, steps + horizon):
            errors[:, step] += memory * errors[:, step - 1]
        tables = np.lib.stride_tricks.sliding_window_view(errors, horizon, axis=1)[:, :steps]
        rows, origins = np.zeros(steps, int), np.arange(steps)
        scores = evaluate_forecasts(
            forecasts_of(np.zeros((steps, horizon)), tables[0], rows, origins),
            *({"other": tables[1]}, ("a",), np.ones(1), np.ones(1)),
        )
        wrong += verdict(scores["metrics"]) != UNCLEAR
    assert wrong / runs < 0.1


def test_a_clear_difference_is_told():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(100, HORIZON))
    forecasts = forecasts_of(np.zeros_like(noise), noise, np.zeros(100, int), np.arange(100))

    def judged(size):
        return verdict(
            evaluate_forecasts(forecasts, {"other": size * noise}, ("a",), np.ones(1), np.ones(1))["metrics"]
        )

    assert [judged(size) for size in (2.0, 1.0, 0.5)] == [BETTER, UNCLEAR, WORSE]


def test_less_than_two_stretches_have_no_margin_and_no_verdict():
    noise = np.random.default_rng(0).normal(size=(1, HORIZON))
    forecasts = forecasts_of(np.zeros_like(noise), noise, np.zeros(1, int), np.zeros(1, int))

    scores = evaluate_forecasts(forecasts, {"other": 9 * noise}, ("a",), np.ones(1), np.ones(1))["metrics"]

    assert scores["skill"] == pytest.approx(1 - 1 / 9)
    assert scores["skill_margin"] is None
    assert verdict(scores) == UNCLEAR


def test_a_row_without_targets_has_no_margin_and_changes_no_other():
    rng = np.random.default_rng(0)
    forecasts = random_windows(rng, rows=2, windows=20)
    baselines = {"flat": rng.normal(size=(20, HORIZON))}

    two, of_two = skill_margins(forecasts, baselines, ["flat", "flat"])
    three, of_three = skill_margins(forecasts, baselines, ["flat", "flat", ""])

    assert two == pytest.approx(three)
    np.testing.assert_allclose(of_three, [*of_two, np.nan])


def test_a_row_that_a_baseline_hits_but_for_rounding_leaves_the_margin_to_the_others():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, HORIZON))
    rows, origins = np.repeat([0, 1], 100), np.tile(np.arange(100), 2)
    baseline = np.where(rows[:, None] == 0, 2 * noise, 1e-9 * noise)  # of the second row, a product no longer sold
    forecasts = forecasts_of(np.zeros_like(noise), noise, rows, origins)

    both = evaluate_forecasts(forecasts, {"other": baseline}, ("a", "b"), np.ones(2), np.ones(2))
    one = evaluate_forecasts(forecasts.of(np.arange(100)), {"other": baseline[:100]}, ("a",), np.ones(1), np.ones(1))

    assert both["metrics"]["skill"] == pytest.approx(one["metrics"]["skill"])
    assert both["metrics"]["skill_margin"] == pytest.approx(one["metrics"]["skill_margin"], rel=0.1)
    assert (both["per_series"]["b"]["skill"], both["per_series"]["b"]["skill_margin"]) == (None, 0)
    assert verdict(both["per_series"]["b"]) == WORSE
    assert verdict(both["metrics"]) == BETTER


def test_draws_in_which_a_baseline_has_no_error_are_left_out():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(40, HORIZON))
    rare = np.where(np.arange(40)[:, None] < 2, 1.0, 0.0) * np.ones(HORIZON)  # an intermittent series
    forecasts = forecasts_of(np.zeros_like(noise), 0.1 * noise, np.zeros(40, int), np.arange(40))

    margins, _ = skill_margins(forecasts, {"often": noise, "rare": rare}, ["often"])

    assert np.isfinite([margins["often"], margins["rare"]]).all()


def test_one_stretch_with_nearly_all_errors_of_a_baseline_leaves_no_margin():
    noise = np.random.default_rng(0).normal(size=(40, HORIZON))
    baseline = np.where(np.arange(40)[:, None] < 1, noise, 1e-7 * noise)  # of a sensor that stands still from then on
    forecasts = forecasts_of(np.zeros_like(noise), 2 * noise, np.zeros(40, int), np.arange(40))

    scores = evaluate_forecasts(forecasts, {"other": baseline}, ("a",), np.ones(1), np.ones(1))["metrics"]

    assert scores["skill"] < 0
    assert scores["skill_margin"] is None
