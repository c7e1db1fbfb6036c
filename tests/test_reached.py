"""The list of lines that no test reaches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.phones import ROOT


def test_lines_that_no_test_reaches_are_listed(tmp_path: Path) -> None:
    test = tmp_path / "test_one.py"
    test.write_text(
        "from app.visible import visible\n"
        "from app.errors import AppError\n"
        "def test_it(): assert visible('a') == 'a'\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.reached",
        "-q",
        "--rootdir",
        str(tmp_path),
    ]
    options = ["-c", str(tmp_path / "pytest.ini"), str(test), "-p", "no:cacheprovider"]
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {
        line.split()[2].rstrip(":"): line for line in done.stdout.splitlines() if " %  app/" in line
    }
    assert rows["app/orphan.py"].lstrip().startswith("0 %")  # never imported
    assert not rows.get("app/visible.py", "").lstrip().startswith("0 %")
    assert "of all lines" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 passed")
