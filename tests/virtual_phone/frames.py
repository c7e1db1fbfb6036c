"""Some screens of the virtual phone, small, side by side: `python -m tests.virtual_phone.frames`.

The demo model that comes with phonepilot was trained on these pixels. When the virtual phone is
meant to look different, train the model anew (training/README.md), then write this sheet anew.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from app.virtual_phone.apps.catalogue import APPS
from app.virtual_phone.phone import Phone
from tests.virtual_phone.touch import NOTES, opened, tap

SHEET = Path(__file__).with_name("frames.png")
SIZE = (90, 200)
SCATTERED = (3, 21, 34, 55, 89, 144)


def screens() -> list[tuple[str, Image.Image]]:
    """(name, frame) of each screen on the sheet."""
    found = [("home of seed 1", Phone(1).frame()), ("home of seed 2", Phone(2).frame())]
    phone = opened(NOTES, seed=4)
    tap(phone, "button", "New note")
    phone.type_text("Oats")
    found.append(("editor with keyboard", phone.frame()))
    tap(phone, "button", "Delete")
    found.append(("question", phone.frame()))
    for package in sorted(APPS):
        found.append((package, opened(package, seed=5).frame()))
    for seed in SCATTERED:
        phone = Phone(0)
        phone.reset(seed, scatter=True)
        found.append((f"scattered seed {seed}", phone.frame()))
    return found


def small(frame: Image.Image) -> Image.Image:
    return frame.resize(SIZE, Image.Resampling.BOX)


def main() -> None:
    frames = [small(frame) for _, frame in screens()]
    sheet = Image.new("RGB", (SIZE[0] * len(frames), SIZE[1]))
    for number, frame in enumerate(frames):
        sheet.paste(frame, (number * SIZE[0], 0))
    sheet.save(SHEET, optimize=True)
    print(f"{SHEET.name}: {len(frames)} screens")


if __name__ == "__main__":
    main()
