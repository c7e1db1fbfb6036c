"""`python -m app` is the same as `phonepilot`."""

from app.cli import main

main()
