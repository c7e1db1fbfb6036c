"""Android's `settings` tables as a view on the virtual phone's state.

Keys and values are those of `android.provider.Settings` (Global, Secure, System).
"""

from __future__ import annotations

from app.virtual_phone.state import PhoneState

# (namespace, key) -> (attribute of Settings, value when on, value when off)
_SWITCHES: dict[tuple[str, str], tuple[str, str, str]] = {
    ("global", "wifi_on"): ("wifi", "1", "0"),
    ("global", "bluetooth_on"): ("bluetooth", "1", "0"),
    ("global", "airplane_mode_on"): ("airplane_mode", "1", "0"),
    ("global", "mobile_data"): ("mobile_data", "1", "0"),
    ("global", "low_power"): ("battery_saver", "1", "0"),
    ("global", "zen_mode"): ("do_not_disturb", "1", "0"),
    ("secure", "location_mode"): ("location", "3", "0"),
    ("secure", "ui_night_mode"): ("dark_theme", "2", "1"),
    ("secure", "night_display_activated"): ("night_light", "1", "0"),
    ("system", "accelerometer_rotation"): ("auto_rotate", "1", "0"),
}
_LEVELS: dict[tuple[str, str], str] = {
    ("system", "screen_brightness"): "brightness",
    ("system", "volume_music"): "media_volume",
    ("system", "volume_ring"): "ring_volume",
}


def get_setting(state: PhoneState, namespace: str, key: str) -> str | None:
    """Return the value as the shell prints it, or None for a key that was never set."""
    if (namespace, key) == ("secure", "default_input_method"):
        return state.ime.current
    if (namespace, key) == ("secure", "enabled_input_methods"):
        return ":".join(state.ime.enabled)
    if switch := _SWITCHES.get((namespace, key)):
        attribute, on, off = switch
        return on if getattr(state.settings, attribute) else off
    if attribute := _LEVELS.get((namespace, key), ""):
        return str(getattr(state.settings, attribute))
    return state.system.get(f"{namespace}/{key}")


def put_setting(state: PhoneState, namespace: str, key: str, value: str) -> None:
    """Store a value.

    Raises:
        ValueError: a level that is not a number in its range, or an unknown keyboard.
    """
    if (namespace, key) == ("secure", "default_input_method"):
        if value not in state.ime.available:
            raise ValueError(f"unknown input method {value}")
        state.ime.current = value
    elif switch := _SWITCHES.get((namespace, key)):
        attribute, _, off = switch
        setattr(state.settings, attribute, value != off)
    elif attribute := _LEVELS.get((namespace, key), ""):
        setattr(state.settings, attribute, int(value))
    else:
        state.system[f"{namespace}/{key}"] = value
