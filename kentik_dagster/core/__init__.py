"""What follows: pure functions over frames. No clock, network, disk or environment."""
