"""The conversation as each family was trained to see it, message by message."""

from __future__ import annotations

from typing import Any

import pytest

from app.agent.dialects import DIALECTS, dialect_named
from app.agent.dialects.base import image_part
from app.agent.history import History

GOAL = "Turn on Bluetooth"


def picture(number: int) -> dict[str, Any]:
    """What `png(number)` becomes; "MQ==" is the base64 of "1"."""
    code = ["MA==", "MQ==", "Mg==", "Mw==", "NA==", "NQ==", "Ng=="][number]
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{code}"}}


def png(number: int) -> bytes:
    return str(number).encode()


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def assistant(words: str) -> dict[str, Any]:
    return {"role": "assistant", "content": words}


def conversation(name: str, answers: int, *, told: str = "", **choices: Any) -> list[Any]:
    """The request after so many answered turns; `told` goes with the last one."""
    dialect = dialect_named(name, **choices)
    history = History(dialect, "PROMPT", GOAL)
    for number in range(answers):
        asked = history.pending_text("Home", "It failed." if number == 1 else "")
        kept = dialect.assistant_text(f"thought {number}", f"answer {number}")
        history.answered(asked, kept, f"did {number}", 10, png(number))
    return history.messages(history.pending_text("Home", told), png(answers))


SYSTEM = {"role": "system", "content": "PROMPT"}


def test_qwen_has_one_user_turn_with_the_text_before_the_picture() -> None:
    assert conversation("qwen", 0) == [
        SYSTEM,
        user(text("Turn on Bluetooth\n\nSteps so far:\nnone"), picture(0)),
    ]
    assert conversation("qwen", 2, told="Look again.") == [
        SYSTEM,
        user(
            text(
                "Turn on Bluetooth\n\nSteps so far:\nStep 1: did 0\n(It failed.)\nStep 2: did 1\n\n"
                "Look again."
            ),
            picture(2),
        ),
    ]


def test_qwen_lists_the_models_own_words_for_a_step() -> None:
    dialect = DIALECTS["qwen"]
    history = History(dialect, "", GOAL)
    kept = dialect.assistant_text("So.", 'Action: "Tap the bar."\n<tool_call>...')
    history.answered(history.pending_text("Home"), kept, "Tap at 1, 2")
    assert history.messages("", png(1)) == [
        user(text("Turn on Bluetooth\n\nSteps so far:\nStep 1: Tap the bar."), picture(1))
    ]


def test_gui_owl_keeps_four_turns_with_pictures_and_lists_the_ones_before() -> None:
    assert conversation("gui-owl", 1) == [
        SYSTEM,
        user(text("Turn on Bluetooth\n\nPrevious actions:\nnone"), picture(0)),
        assistant("thought 0\nanswer 0"),
        user(picture(1)),
    ]
    assert conversation("gui-owl", 6, told="Look again.") == [
        SYSTEM,
        user(
            text(
                "Turn on Bluetooth\n\nPrevious actions:\nStep 1: did 0\n(It failed.)\nStep 2: did 1"
            ),
            picture(2),
        ),
        assistant("thought 2\nanswer 2"),
        user(picture(3)),
        assistant("thought 3\nanswer 3"),
        user(picture(4)),
        assistant("thought 4\nanswer 4"),
        user(picture(5)),
        assistant("thought 5\nanswer 5"),
        user(text("Look again."), picture(6)),
    ]


def test_mai_ui_has_the_goal_as_a_turn_and_two_past_pictures() -> None:
    assert conversation("mai-ui", 4) == [
        SYSTEM,
        user(text("Turn on Bluetooth")),
        assistant("<thinking>\nthought 0\n</thinking>\nanswer 0"),
        user(text("It failed.")),
        assistant("<thinking>\nthought 1\n</thinking>\nanswer 1"),
        user(picture(2)),
        assistant("<thinking>\nthought 2\n</thinking>\nanswer 2"),
        user(picture(3)),
        assistant("<thinking>\nthought 3\n</thinking>\nanswer 3"),
        user(picture(4)),
    ]


def test_mobileforge_keeps_no_past_picture() -> None:
    assert conversation("mobileforge", 1) == [
        SYSTEM,
        user(text("Turn on Bluetooth")),
        assistant("<thinking>\nthought 0\n</thinking>\nanswer 0"),
        user(picture(1)),
    ]


@pytest.mark.parametrize("name", ["ui-tars", "doubao-ui-tars"])
def test_ui_tars_has_the_prompt_in_the_first_user_turn(name: str) -> None:
    assert conversation(name, 1, told="Look again.") == [
        user(text("PROMPT\n\nTurn on Bluetooth")),
        user(picture(0)),
        assistant("Thought: thought 0\nAction: answer 0"),
        user(text("Look again."), picture(1)),
    ]


def test_ui_tars_keeps_five_pictures_or_as_many_as_the_profile_says() -> None:
    def pictures(messages: list[Any]) -> int:
        return sum(part["type"] == "image_url" for m in messages for part in parts(m))

    def parts(message: dict[str, Any]) -> list[dict[str, Any]]:
        content = message["content"]
        return content if isinstance(content, list) else []

    assert pictures(conversation("ui-tars", 6)) == 5
    assert pictures(conversation("ui-tars", 6, images_kept=2)) == 2
    assert pictures(conversation("ui-tars", 6, images_kept=1)) == 1


def test_seed_sends_the_thought_back_in_its_tags() -> None:
    assert conversation("seed", 1) == [
        SYSTEM,
        user(text("Turn on Bluetooth")),
        user(picture(0)),
        assistant("<think>thought 0</think>answer 0"),
        user(picture(1)),
    ]


def test_ui_venus_has_one_user_turn_with_the_last_five_steps_in_full() -> None:
    assert conversation("ui-venus", 1) == [
        user(
            text(
                "PROMPT\n\nThe task: Turn on Bluetooth\n\nPrevious steps:\n"
                "Step 1: <think>thought 0</think>answer 0"
            ),
            picture(1),
        )
    ]
    (turn,) = conversation("ui-venus", 6)
    assert turn["content"][0]["text"].startswith(
        "PROMPT\n\nThe task: Turn on Bluetooth\n\nDone so far:\ndid 0\n\nPrevious steps:\n"
        "(It failed.)\nStep 2: <think>thought 1</think>answer 1\nStep 3: "
    )


def test_glmv_has_its_own_lines_as_history() -> None:
    assert conversation("glmv", 2) == [
        user(
            text(
                "PROMPT\n\nTask: Turn on Bluetooth\n\nHistory:\nStep 1:\nanswer 0\n(It failed.)\n"
                "Step 2:\nanswer 1"
            ),
            picture(2),
        )
    ]


def test_step_remembers_nothing_but_the_last_summary() -> None:
    dialect = DIALECTS["step-gui"]
    history = History(dialect, "PROMPT", GOAL)
    first, picture_part, last = history.messages(history.pending_text("Home"), png(0))[0]["content"]
    assert first == text("PROMPT\n\nTask: Turn on Bluetooth\nHistory: none\nThe screen now:")
    assert picture_part == picture(0)
    assert "summary" in last["text"]
    kept = dialect.assistant_text("So.", "explain:e\taction:WAIT\tsummary:I waited.")
    history.answered(history.pending_text("Home"), kept, "Wait 1 s", 10, png(0))
    turn = history.messages(history.pending_text("Home", "It failed."), png(1))[0]["content"]
    assert turn[0]["text"].endswith("History: I waited. It failed.\nThe screen now:")


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("answers", [0, 1, 9])
def test_a_request_ends_with_the_screen_and_holds_the_goal(name: str, answers: int) -> None:
    messages = conversation(name, answers)
    parts = [part for m in messages if isinstance(m["content"], list) for part in m["content"]]
    pictures = [part for part in parts if part["type"] == "image_url"]
    assert len(pictures) == min(answers + 1, DIALECTS[name].pictures)
    assert pictures[-1] == image_part(png(answers))
    assert pictures[-1] in messages[-1]["content"]
    assert GOAL in str(messages)


@pytest.mark.parametrize("name", ["gui-owl", "mai-ui", "ui-tars", "seed"])
def test_what_is_read_ahead_is_all_up_to_the_next_screen(name: str) -> None:
    dialect = DIALECTS[name]
    history = History(dialect, "PROMPT", GOAL)
    history.answered(history.pending_text("Home"), "reply", "did it", 10, png(0))
    *read, last = history.prefix()
    assert read == history.messages(history.pending_text("Home"), png(1))[:-1]
    assert read[-1] == assistant("reply")
    assert last == {"role": "user", "content": ""}


@pytest.mark.parametrize("name", DIALECTS)
def test_an_earlier_goal_is_not_lost(name: str) -> None:
    dialect = DIALECTS[name]
    before = History(dialect, "PROMPT", "Find the flat's rent")
    kept = dialect.assistant_text("t", "a")
    before.answered(before.pending_text("Home"), kept, "Tap", 10)
    after = History(dialect, "PROMPT", "Now double it", before.exchanges)
    said = str(after.messages(after.pending_text("Home"), png(0)))
    assert "Find the flat" in said
    assert "Now double it" in said


@pytest.mark.parametrize("name", DIALECTS)
def test_what_no_longer_fits_is_told_in_lines_and_the_goal_stays(name: str) -> None:
    dialect = DIALECTS[name]
    history = History(dialect, "PROMPT", GOAL)
    for number in range(9):
        kept = dialect.assistant_text(f"thought {number}", f"answer {number}")
        asked = history.pending_text("Home")
        history.answered(asked, kept, f"did {number}", 10, png(number % 7))
    assert history.fold(20) > 0
    said = str(history.messages(history.pending_text("Home"), png(0)))
    assert GOAL in said
    if name != "step-gui":  # whose memory is the last summary
        assert "did 1" in said
    prefix = history.prefix()
    assert prefix[-1] == {"role": "user", "content": ""}
