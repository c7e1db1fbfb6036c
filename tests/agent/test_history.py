"""The conversation as the model was trained to see it."""

from __future__ import annotations

import base64

from app.agent.dialects.autoglm import AUTOGLM, screen_info
from app.agent.history import History

PNG = b"\x89PNG not really"


def image_parts(messages: list[dict[str, object]]) -> list[dict[str, object]]:
    return [
        part
        for message in messages
        if isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "image_url"
    ]


def test_the_first_turn_holds_the_goal_and_the_app() -> None:
    assert AUTOGLM.user_text("Turn on Wi-Fi", "微信", first=True) == (
        'Turn on Wi-Fi\n\n{"current_app": "微信"}'
    )


def test_later_turns_hold_the_app_under_a_heading() -> None:
    assert AUTOGLM.user_text("Turn on Wi-Fi", "Home", first=False) == (
        '** Screen Info **\n\n{"current_app": "Home"}'
    )


def test_an_app_name_cannot_break_out_of_its_json() -> None:
    assert screen_info('a"} {"b') == '{"current_app": "a\\"} {\\"b"}'


def test_a_kept_reply_has_each_tag_once() -> None:
    assert AUTOGLM.assistant_text("So.", 'do(action="Back")') == (
        '<think>So.</think><answer>do(action="Back")</answer>'
    )


def test_a_request_holds_one_image_before_its_text() -> None:
    history = History(AUTOGLM, "You drive a phone.", "Open Notes")
    text = history.pending_text("Home")
    assert history.messages(text, PNG) == [
        {"role": "system", "content": "You drive a phone."},
        {
            "role": "user",
            "content": [
                {
                    "type": "image_url",
                    "image_url": {
                        "url": "data:image/png;base64," + base64.b64encode(PNG).decode("ascii")
                    },
                },
                {"type": "text", "text": text},
            ],
        },
    ]


def test_answered_turns_lose_their_images_and_keep_their_texts() -> None:
    history = History(AUTOGLM, "You drive a phone.", "Open Notes")
    for app in ("Home", "Settings", "Notes"):
        text = history.pending_text(app)
        messages = history.messages(text, PNG)
        assert len(image_parts(messages)) == 1
        history.answered(text, f"reply to {app}")
    messages = history.messages(history.pending_text("Notes"), PNG)
    assert [message["role"] for message in messages] == ["system"] + ["user", "assistant"] * 3 + [
        "user"
    ]
    assert image_parts(messages) == [messages[-1]["content"][0]]
    assert messages[1]["content"] == [
        {"type": "text", "text": 'Open Notes\n\n{"current_app": "Home"}'}
    ]
    assert messages[2]["content"] == "reply to Home"


def test_a_longer_conversation_begins_with_the_shorter_one() -> None:
    """The engine reuses what it has read as far as two requests are the same."""
    history = History(AUTOGLM, "You drive a phone.", "Open Notes")
    text = history.pending_text("Home")
    before = history.messages(text, PNG)
    history.answered(text, "reply")
    after = history.messages(history.pending_text("Notes"), PNG)
    assert after[:1] == before[:1]
    assert after[1]["content"][0] == before[1]["content"][1]


def test_feedback_stands_before_the_rest() -> None:
    history = History(AUTOGLM, "You drive a phone.", "Open Notes")
    assert history.pending_text("Home", "The app is not installed.") == (
        'The app is not installed.\n\nOpen Notes\n\n{"current_app": "Home"}'
    )
