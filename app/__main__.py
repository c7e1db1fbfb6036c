"""Makes `python -m app` the same as `phonepilot`."""

from app.cli.main import main

main()
