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
    Row("screen off", ("asleep",), "wakes it and goes on"),
    Row("keyguard without PIN", ("locked=none",), "unlocks and goes on"),
    Row(
        "screen off and keyguard without PIN", ("asleep", "locked=none"), "wakes, unlocks, goes on"
    ),
    Row(
        "keyguard with PIN",
        ("locked=1234",),
        "stops and says so; no PIN is ever typed",
        "failed",
        "refused",
        "device_locked",
    ),
    Row(
        "screen off and keyguard with PIN",
        ("asleep", "locked=1234"),
        "wakes it, stops and says so; no PIN is ever typed",
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
    Row("foldable, the first panel is off", ("displays",), "takes the panel that is on"),
    Row(
        "app that forbids screenshots (FLAG_SECURE)",
        ("secure=com.android.settings",),
        "stops and says so; a black picture is never shown to the model",
        "failed",
        "refused",
        "secure_screen",
    ),
    Row(
        "link drops, and debugging is not accepted again",
        ("drop-screencap=1", "unauthorized"),
        "stops and says so",
        "failed",
        "refused",
        "device_unauthorized",
    ),
    Row("links fall silent, new ones work", ("half-open=stale",), "reconnects and looks again"),
    Row(
        "links fall silent for good",
        ("half-open=link",),
        "tries to reconnect, then gives the phone up",
        "failed",
        "device_lost",
        "device_timeout",
    ),
    Row(
        "link drops, new ones are accepted and never answered",
        ("drop-screencap=1", "half-open=connect"),
        "tries to reconnect, then gives the phone up",
        "failed",
        "device_lost",
        "device_timeout",
    ),
)


@dataclass(frozen=True)
class MidTaskRow:
    """What happens in the middle of a task, and what the task does about it.

    Each ends with Bluetooth switched on, by one tap on its switch, and nothing else changed.
    """

    fault: str
    moment: str
    does: str

    def markdown(self) -> str:
        return f"| {self.fault} | {self.moment} | {self.does} | succeeded, finished |"


SERVER_KILLED = "adb server killed"
TURNED, TURNED_BACK = "phone turned to landscape", "phone turned upright again"
THINKING, TAPPED, LAUNCHED = "the model thinks", "a tap took effect", "the model opens an app"
MID_TASK_ROWS = (
    MidTaskRow(
        SERVER_KILLED,
        THINKING,
        "starts it again, reconnects, and the model decides anew",
    ),
    MidTaskRow(
        SERVER_KILLED,
        TAPPED,
        "starts it again, reconnects and looks; the tap is not repeated",
    ),
    MidTaskRow(TURNED, LAUNCHED, "taps by the size of the new picture"),
    MidTaskRow(TURNED_BACK, LAUNCHED, "taps by the size of the new picture"),
)


@dataclass(frozen=True)
class TypingRow:
    """Quirks of the phone, and what becomes of a text that the model types into a new note.

    `arrives` says whether exactly `text` must stand in the note afterwards; otherwise nothing of it
    may. `told` begins what the model must have been told, with its next turn.
    """

    fault: str
    quirks: tuple[str, ...]
    text: str
    does: str
    arrives: bool = True
    told: str = ""

    def markdown(self) -> str:
        quirks = " ".join(f"`--quirk {quirk}`" for quirk in self.quirks) or "none"
        end = "arrives byte for byte" if self.arrives else "nothing arrives, the model is told"
        if self.arrives and self.told:
            end = "arrives once, byte for byte; the model is told to look"
        kind = "ASCII" if self.text.isascii() else "any"
        return f"| {self.fault} | {quirks} | {kind} | {self.does} | {end} |"


ASCII_TEXT = "50% off; $(reboot) `id` \"quoted\" 'single' \\ & | < > %s"
UNICODE_TEXT = "Grüße, 你好 🎉 \u202e\u05e9\u05dc\u05d5\u05dd\u202c\nzweite Zeile"
FAILED = "The last action failed: "
DROPPED = "The phone dropped off during the last action"

TYPING_ROWS = (
    TypingRow("ADBKeyboard installed", (), UNICODE_TEXT, "types through it"),
    TypingRow("ADBKeyboard installed", (), ASCII_TEXT, "types through it"),
    TypingRow(
        "not bound to the field (API 33)",
        ("adbkeyboard=api33",),
        UNICODE_TEXT,
        "waits for it, then types nothing",
        False,
        FAILED,
    ),
    TypingRow(
        "not bound to the field (API 33)",
        ("adbkeyboard=api33",),
        ASCII_TEXT,
        "falls back to `input text`",
    ),
    TypingRow("not installed", ("adbkeyboard=missing",), ASCII_TEXT, "types with `input text`"),
    TypingRow(
        "not installed", ("adbkeyboard=missing",), UNICODE_TEXT, "types nothing", False, FAILED
    ),
    TypingRow(
        "hears no broadcast", ("adbkeyboard=inactive",), ASCII_TEXT, "falls back to `input text`"
    ),
    TypingRow(
        "hears no broadcast",
        ("adbkeyboard=inactive",),
        UNICODE_TEXT,
        "types nothing",
        False,
        FAILED,
    ),
    TypingRow(
        "installed, and the phone does not tell the cursor",
        ("no-cursor",),
        UNICODE_TEXT,
        "types through it, proved by pictures of the screen",
    ),
    TypingRow(
        "hears no broadcast, and the phone does not tell the cursor",
        ("adbkeyboard=inactive", "no-cursor"),
        ASCII_TEXT,
        "sees nothing change and falls back to `input text`",
    ),
    *(
        TypingRow(
            f"link drops {moment} the text was typed",
            (f"drop-input={moment}",),
            UNICODE_TEXT,
            "reconnects and looks; the text is not repeated",
            moment == "after",
            DROPPED,
        )
        for moment in ("before", "after")
    ),
    TypingRow(
        "link drops while keys are pressed",
        ("adbkeyboard=missing", "drop-input=after"),
        ASCII_TEXT,
        "reconnects and looks; the rest is not typed",
        False,
        DROPPED,
    ),
)
