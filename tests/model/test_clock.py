"""The clock is used as params say, and where that is left open, where validation clearly gains by it."""

from dataclasses import replace

import numpy as np
import pytest
from covariate_sources import source_with

from spline_lstm.data.prepared import Traits
from spline_lstm.data.windows import Splits, index_windows
from spline_lstm.model.start import start_fit
from spline_lstm.run.params import parse_params

TIME, LOOKBACK, HORIZON, EPOCHS = 1500, 8, 2, 5
HOURS = np.arange(TIME + HORIZON) % 24
NIGHT = np.where(HOURS < 12, -1.0, 1.0)


def noise():
    return np.random.default_rng(3).normal(size=TIME)


def of_nothing():
    """White noise, of which the clock tells nothing."""
    return noise()


def of_an_effect():
    """Higher in the second half of the day."""
    return 0.5 * noise() + NIGHT[:TIME]


def of_another_course():
    """What is above zero grows in one half of the day and turns over in the other: no effect that adds up."""
    values = noise()
    for step in range(1, TIME):
        values[step] += 0.9 * NIGHT[step] * values[step - 1]
    return values / values.std()


def started(values, wanted, daily=True):
    source = source_with(values[None], np.empty((1, TIME + HORIZON, 0)), lookback=LOOKBACK)
    clock = NIGHT[:, None].astype(np.float32)
    source = replace(source, covariates=replace(source.covariates, calendar=clock, optional=1))
    params = parse_params(
        {
            "run_id": "a",
            "data": {"path": "a", "timestamp": "b", "target": "c"},
            "windows": {"horizon": HORIZON},
            "covariates": {"calendar": wanted},
            "train": {"epochs": EPOCHS},
        }
    )
    train, validation = (
        index_windows(source, Splits(1000, 1250, 1500), name, 3, 0.5) for name in ("train", "validation")
    )
    return start_fit(source, train, validation, params, Traits(daily, 1, 1000)).fit


def decided(values, wanted=None, daily=True):
    """Whether the recurrence sees the clock, and whether the ridge has its effects."""
    fit = started(values, wanted, daily)
    effects = fit.model.known_effects()
    assert effects.shape == (1, fit.source.covariates.optional)
    return bool(fit.source.covariates.optional), bool(effects.any())


@pytest.mark.parametrize("series", [of_nothing, of_an_effect, of_another_course])
@pytest.mark.parametrize("wanted", [True, False])
def test_the_clock_is_used_as_params_say(series, wanted):
    assert decided(series(), wanted) == (wanted, wanted and series is of_an_effect)


def test_the_clock_is_used_where_it_has_an_effect():
    assert decided(of_an_effect()) == (True, True)


def test_the_clock_is_used_where_only_the_recurrence_gains_by_it():
    assert decided(of_another_course()) == (True, False)
    assert decided(of_another_course(), daily=False) == (False, False)  # a year alone gets no trial


def test_the_clock_is_left_out_where_it_tells_nothing():
    assert decided(of_nothing()) == (False, False)


@pytest.mark.parametrize(("series", "settled"), [(of_nothing, False), (of_another_course, True)])
def test_a_fit_that_was_tried_ends_as_if_params_had_asked_for_it(series, settled):
    tried, asked = (started(series(), wanted).finish() for wanted in (None, settled))

    assert tried.history == asked.history
    for one, two in zip(tried.best + tried.last, asked.best + asked.last, strict=True):
        np.testing.assert_array_equal(one, two)
