"""Keras layers and models. Import this package before `keras.saving.load_model` on a checkpoint."""

from spline_lstm.models.forecaster import SplineForecaster, SplineSegments

__all__ = ["SplineForecaster", "SplineSegments"]
