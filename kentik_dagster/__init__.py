"""AWS network visibility as a Dagster code location. Imports nothing."""
