"""Dagster resources: configuration in, an aws or lake object out."""
