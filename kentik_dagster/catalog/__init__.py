"""What exists, as data: AWS operations, flow fields, metrics, tables. No logic."""
