"""A made-up organization that knows the truth, an emulator that holds it, and the demo."""
