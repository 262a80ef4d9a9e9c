"""A forecaster that was trained can learn from more windows, with all that validation chose."""

import numpy as np
import pytest
from sources import ragged_source

from spline_lstm.data.prepared import Traits
from spline_lstm.data.windows import Splits, index_windows
from spline_lstm.model.fitting import fit_again, train_forecaster
from spline_lstm.model.folded import refit_folded
from spline_lstm.model.ridge import refit_ridge
from spline_lstm.model.training import predict
from spline_lstm.run.params import parse_params

SEASON, LOOKBACK, HORIZON = 8, 16, 4


@pytest.fixture(scope="module")
def trained():
    """A forecaster, all windows, and what it forecast of them before it learned from them."""
    rng = np.random.default_rng(0)
    waves = np.sin(np.arange(500) * 2 * np.pi / SEASON) + 0.3 * rng.normal(size=500)
    source = ragged_source([waves], [0], (SEASON,), LOOKBACK, HORIZON)
    params = parse_params(
        {
            "run_id": "a",
            "data": {"path": "a", "timestamp": "b", "target": "c"},
            "windows": {"horizon": HORIZON},
            "train": {"epochs": 6},
        }
    )
    train, validation, everything = (
        index_windows(source, Splits(300, 400, 500), name, 3, 0.5) for name in ("train", "validation", "all")
    )
    trained = train_forecaster(source, train, validation, params, Traits(False, SEASON, 300))
    before = [weight.numpy() for weight in trained.model.trainable_variables]
    shares = dict(trained.model.shares)
    epochs = fit_again(trained, everything, params.seed)
    return trained, everything, before, shares, epochs


def test_closed_forms_are_those_of_all_windows(trained):
    trained, everything, *_ = trained

    model = trained.model
    (linear,), (folded,), (correction,) = (
        each.get_weights() for each in (model.linear, model.folded, model.correction)
    )

    np.testing.assert_array_equal(linear, refit_ridge(trained.source, everything, trained.ridge).kernel)
    effects = trained.model.known_effects()
    again = refit_folded(trained.source, everything, effects, trained.folded)
    np.testing.assert_array_equal(folded, again.kernel)
    np.testing.assert_array_equal(correction, again.correction)
    assert (linear != trained.ridge.kernel).any()
    assert (folded != trained.folded.kernel).any()
    assert (correction != trained.folded.correction).any()


def test_the_recurrence_goes_on_for_a_part_of_its_epochs_and_shares_stay(trained):
    trained, everything, before, shares, epochs = trained

    assert epochs == -(-trained.fit.best_epoch // 5)
    assert trained.model.shares == shares
    after = [weight.numpy() for weight in trained.model.trainable_variables]
    assert any((one != two).any() for one, two in zip(before, after, strict=True))
    forecast = predict(trained.model, trained.source, everything.rows, everything.origins)
    assert np.mean((trained.source.outputs(everything.rows, everything.origins) - forecast) ** 2) < 0.15
