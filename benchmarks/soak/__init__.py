"""An hour of the whole, with everything going wrong that does: `python -m benchmarks.soak`."""
