"""Asking AWS: the only room with boto3. Returns frames, and what could not be seen."""
