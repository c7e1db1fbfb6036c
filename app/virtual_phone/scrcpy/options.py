"""The command line of scrcpy's server 3.3.4 (`Options.java`); pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CLASS = "com.genymobile.scrcpy.Server"
VERSION = "3.3.4"
_DEFAULTS = {
    "scid": "-1",
    "log_level": "debug",
    "video": "true",
    "audio": "true",
    "control": "true",
    "tunnel_forward": "false",
    "send_dummy_byte": "true",
    "send_device_meta": "true",
    "clipboard_autosync": "true",
    "cleanup": "true",
    "raw_stream": "false",
}
_WITHOUT_EFFECT = frozenset(
    {
        "audio_codec", "audio_source", "audio_dup", "audio_bit_rate", "audio_codec_options",
        "audio_encoder", "video_codec", "video_source", "video_bit_rate", "video_codec_options",
        "video_encoder", "max_size", "max_fps", "angle", "crop", "display_id", "camera_id",
        "show_touches", "stay_awake", "screen_off_timeout", "power_off_on_close",
        "downsize_on_error", "power_on", "list_encoders", "list_displays", "list_cameras",
        "list_camera_sizes", "list_apps", "camera_size", "camera_facing", "camera_ar",
        "camera_fps", "camera_high_speed", "new_display", "vd_destroy_content",
        "vd_system_decorations", "capture_orientation", "display_ime_policy", "send_frame_meta",
        "send_codec_meta",
    }
)  # fmt: skip
"""Further options that the server knows."""


class OptionsError(Exception):
    """The server ends at once with this message."""


@dataclass(frozen=True)
class Options:
    values: Mapping[str, str] = field(default_factory=dict)
    unknown: Sequence[str] = ()

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, _DEFAULTS[name])

    def on(self, name: str) -> bool:
        return self[name] == "true"

    @property
    def socket(self) -> str:
        """The name of the abstract socket."""
        scid = int(self["scid"], 16)
        return "scrcpy" if scid == -1 else f"scrcpy_{scid:08x}"


def parse(args: Sequence[str]) -> Options:
    """Parse what follows the class: the client's version, and `key=value`. Raises OptionsError."""
    if not args:
        raise OptionsError("Missing client version")
    version, *pairs = args
    if version != VERSION:
        raise OptionsError(f"The server version ({VERSION}) does not match the client ({version})")
    values: dict[str, str] = {}
    unknown: list[str] = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise OptionsError(f'Invalid key=value pair: "{pair}"')
        if key in _DEFAULTS:
            values[key] = value
        elif key not in _WITHOUT_EFFECT:
            unknown.append(key)
    try:
        if not -1 <= int(values.get("scid", "-1"), 16) < 2**31:
            raise ValueError
    except ValueError:
        raise OptionsError(f"scid may not be {values['scid']!r}") from None
    return Options(values, unknown)
