"""Measurements that one command reproduces; what they found stands in docs/benchmarks.md."""
