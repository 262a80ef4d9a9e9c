"""From windows to a forecast. `forecaster` holds the Keras classes; modules that need none load no TensorFlow."""
