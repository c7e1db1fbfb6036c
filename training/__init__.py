"""Builds the demo model: see training/README.md."""
