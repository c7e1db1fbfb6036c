"""The fault matrix: what is wrong with the phone, and what a task then does.

docs/measurements/fault-matrix.md is this table in words; tests/e2e/test_fault_matrix.py runs each
row through the whole service and keeps the page true.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """Quirks of the phone, and the end of the task "Turn on Bluetooth" on it.

    `error` is the code that the task carries, `does` the same in words. A task that ends well must
    have switched Bluetooth on and nothing else; any other one must have changed nothing.
    """

    fault: str
    quirks: tuple[str, ...]
    does: str
    status: str = "succeeded"
    reason: str = "finished"
    error: str | None = None

    def markdown(self) -> str:
        quirks = " ".join(f"`--quirk {quirk}`" for quirk in self.quirks)
        end = f"{self.status}, {self.reason}" + (f", `{self.error}`" if self.error else "")
        return f"| {self.fault} | {quirks} | {self.does} | {end} |"


ROWS = (
    *(
        Row(f"Android {version}", (f"android={version}",), "goes on")
        for version in (9, 10, 12, 14, 16)
    ),
    Row("screen off or keyguard without PIN", ("locked=none",), "unlocks and goes on"),
    Row(
        "keyguard with PIN",
        ("locked=1234",),
        "stops and says so; no PIN is ever typed",
        "failed",
        "refused",
        "device_locked",
    ),
    Row(
        "input refused (INJECT_EVENTS)",
        ("no-inject=255",),
        "stops and says which switch",
        "failed",
        "refused",
        "input_refused",
    ),
    Row(
        "input refused, exit code 0",
        ("no-inject=0",),
        "stops and says which switch",
        "failed",
        "refused",
        "input_refused",
    ),
    Row("slow screenshot", ("slow-screencap=1",), "goes on"),
    Row("slow shell", ("slow-shell=0.3",), "goes on"),
    Row("link drops in mid-screenshot", ("drop-screencap=1",), "reconnects and looks again"),
    Row(
        "link drops before a tap took effect",
        ("drop-input=before",),
        "reconnects, looks, and the model decides anew",
    ),
    Row(
        "link drops after a tap took effect",
        ("drop-input=after",),
        "reconnects and looks; the tap is not repeated",
    ),
    Row("clock jump", ("clock-jump=-7200",), "goes on"),
    Row("720x1600", ("size=720x1600", "density=280"), "goes on"),
    Row("1440x3200", ("size=1440x3200", "density=560"), "goes on"),
    Row("another size set over the physical one", ("override-size=720x1600",), "goes on"),
    Row("work profile", ("work-profile",), "goes on"),
)
