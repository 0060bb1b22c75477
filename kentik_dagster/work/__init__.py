"""The steps of the main job: aws, core and lake brought together. Does not know Dagster."""
