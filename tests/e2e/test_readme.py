"""The README's curl examples, run as they stand against the real service."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.e2e.conftest import Stack
from tests.phones import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = [block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "curl" in block]
SAID = (
    '"status":"succeeded"',
    "event: end",
    '"serial":',
    "data: [DONE]",
    '"kind":"step"',
    '"stop_reason":"dry_run"',
)


def test_the_readme_has_the_examples_that_are_tested() -> None:
    assert len(EXAMPLES) == len(SAID)


@pytest.mark.parametrize(("example", "said"), list(zip(EXAMPLES, SAID, strict=False)))
def test_a_curl_example_does_what_the_readme_says(stack: Stack, example: str, said: str) -> None:
    assert "http://127.0.0.1:8770" in example
    script = example.replace("http://127.0.0.1:8770", stack.url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
