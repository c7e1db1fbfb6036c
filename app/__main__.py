"""`python -m app` is the same as `phonepilot`."""

from app.cli.main import main

main()
