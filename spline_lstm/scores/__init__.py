"""From forecasts to figures."""
