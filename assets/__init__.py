"""Thin Dagster assets, checks, partitions, sensors and schedules: they wire, they do not compute."""
