"""Accuracy, ablations and speed, run by hand. `make bench` writes docs/benchmarks.md."""
