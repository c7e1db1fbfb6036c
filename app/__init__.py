"""phonepilot: a phone-automation agent server."""

__version__ = "0.1.0"
