"""No path leads out of what the service shows: not to its own folder, not to the host's files."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.e2e.conftest import Stack

PARTS = st.sampled_from(
    [
        "..", "%2e%2e", "%2E.", "..%2f", "..%5c", "..\\", ".", "", "%00", "....", "..;",
        "%252e%252e", "etc",
        "passwd", "etc%2fpasswd", "/etc/passwd", "app", "main.py", "phonepilot.db",
        "webhook-secret", "tokens.json", "screenshots", "index.html", "main.js", "1",
        "%c0%ae%c0%ae",
    ]
)  # fmt: skip
ROOTS = st.sampled_from(
    ["/", "/dashboard/", "/tasks/", "/tasks/{task}/steps/", "/tasks/{task}/", "/devices/", "/docs/"]
)
TAILS = st.sampled_from(["", "/screenshot", "/steps/1/screenshot", "/export", "/events", "/screen"])


@given(ROOTS, st.lists(PARTS, min_size=1, max_size=8), TAILS, st.text(max_size=5))
@settings(max_examples=400)
def test_no_path_leads_to_a_file_of_the_host(
    stack: Stack, root: str, parts: list[str], tail: str, noise: str
) -> None:
    secret = (stack.folder / "webhook-secret").read_bytes()
    task = stack.get("/tasks?limit=1")["tasks"]
    name = task[0]["id"] if task else "0" * 16
    path = root.format(task=name) + "/".join(parts) + tail + noise
    target = "".join(c if 33 <= ord(c) < 127 else f"%{ord(c) & 255:02x}" for c in path)
    address = urlsplit(stack.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    try:
        # Sent as it is: a client that tidies paths up would hide what is tested.
        connection.putrequest("GET", target, skip_host=False, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        if answer.headers.get_content_type() == "text/event-stream":
            return
        body = answer.read()
    finally:
        connection.close()
    assert answer.status < 500, (target, body)
    for foreign in (secret, b"root:x:", b"SQLite format 3", b"from __future__"):
        assert foreign not in body, target
