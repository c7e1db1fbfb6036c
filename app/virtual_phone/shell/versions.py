"""The Android version that the phone reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.virtual_phone.quirks import ANDROID

if TYPE_CHECKING:
    from app.virtual_phone.phone import Phone

SDK = {8: 26, 9: 28, 10: 29, 12: 31, 14: 34, 16: 36}
"""API level by version (android.os.Build.VERSION_CODES)."""


def version(phone: Phone) -> int:
    return phone.quirks.get(ANDROID) or 14
