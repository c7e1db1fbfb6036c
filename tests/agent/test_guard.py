"""The rules that stand outside the model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.actions import (
    Action,
    Back,
    Drag,
    Home,
    Key,
    KeyName,
    LongPress,
    Swipe,
    Tap,
    TypeText,
    Wait,
)
from app.agent.guard import FREE, Category, Guard, Ruling, Scene

TAP = Tap(element=(500, 900))
SHOP = Scene("com.shop", ".CheckoutActivity", "Shop")
NOTES = Scene("org.notes", ".Main", "Notes")
PAYPAL = Scene("com.paypal.android", ".Home", "PayPal")
PAY = Category(
    "pay",
    "a payment",
    ask_in=("com.paypal.*", "*/*checkout*"),
    words={"en": ("pay", "place the order"), "zh": ("支付",)},
)
LOGIN = Category("accounts", "signing in", ("*/.login",))
SWIPE = Swipe(start=(1, 1), end=(2, 2))
SLIDE = Swipe(start=(100, 900), end=(900, 905))


@pytest.mark.parametrize("action", [TAP, LongPress(element=(1, 1)), TypeText(text="4111"), SLIDE])
@pytest.mark.parametrize("scene", [SHOP, PAYPAL])
def test_touching_a_page_of_payment_needs_consent(action: Action, scene: Scene) -> None:
    ruling = Guard([PAY]).review(action, scene, "I go on.")
    assert "a payment" in ruling.confirm
    assert action.describe() in ruling.confirm
    assert ruling.category == "pay"
    assert ruling.rule.startswith("pay:app:")


@pytest.mark.parametrize("action", [Back(), Home(), Wait(seconds=1)])
def test_looking_and_leaving_are_free(action: Action) -> None:
    assert Guard([PAY]).review(action, SHOP, "Do I pay here?") == FREE


@pytest.mark.parametrize(
    ("thought", "asked"),
    [
        ("I tap the button to PAY for it.", True),
        ("Now place the order.", True),
        ("现在点击支付按钮", True),
        ("The display is bright; I repay nothing.", False),
    ],
)
def test_the_models_own_words_count(thought: str, asked: bool) -> None:
    assert bool(Guard([PAY]).review(TAP, NOTES, thought).confirm) is asked


def test_a_model_that_asks_by_itself_is_heard_when_no_rule_speaks() -> None:
    action = Tap(element=(500, 900), message="Deletes everything")
    assert Guard().review(action, NOTES, "") == Ruling(
        confirm="Tap at 500, 900 in Notes?", category="model"
    )


def test_what_the_model_asks_never_hides_a_rule() -> None:
    action = Tap(element=(500, 900), message="Scroll down to see the address?")
    ruling = Guard([PAY]).review(action, SHOP, "")
    assert ruling.category == "pay"
    assert "Scroll" not in ruling.confirm


def test_outside_the_allowed_apps_only_leaving_is_free() -> None:
    guard = Guard(allowed={"org.notes": "Notes"})
    assert guard.review(TAP, NOTES, "") == FREE
    refused = guard.review(TAP, SHOP, "").refuse
    assert "com.shop" in refused
    assert "Notes" in refused
    assert guard.review(SWIPE, SHOP, "").refuse
    assert guard.review(Back(), SHOP, "") == FREE
    assert guard.review_launch("org.notes") == FREE
    assert guard.review_launch("com.shop").refuse


def test_under_allowed_apps_the_shade_takes_touches_and_no_text() -> None:
    guard = Guard(allowed={"org.notes": "Notes"})
    for package in ("com.android.systemui", "android"):
        assert guard.review(TAP, Scene(package, ".Dialog"), "") == FREE
    shade = Scene("com.android.systemui", ".Shade")
    assert "shade" in guard.review(TypeText(text="Yes"), shade, "").refuse


def test_rules_and_allowed_apps_count_as_rules() -> None:
    assert not Guard().has_rules
    assert Guard([PAY]).has_rules
    assert Guard(allowed={"org.notes": "Notes"}).has_rules


@given(st.text(), st.text(), st.text(), st.text())
def test_no_text_breaks_it_or_frees_a_payment(
    package: str, activity: str, thought: str, text: str
) -> None:
    guard = Guard([PAY])
    guard.review(TypeText(text=text), Scene(package, activity), thought)
    assert guard.review(TypeText(text=text), SHOP, thought).confirm


# -- keys, drags, and texts that are sent

CHAT = Scene("com.chat", ".Conversation", "Chat")
SEND = Category("send", "a message", look_in=("com.chat/*",), words={"en": ("send",)}, enter=True)


@pytest.mark.parametrize("key", ["power", "camera"])
def test_the_keys_of_the_case_need_consent_everywhere(key: KeyName) -> None:
    ruling = Guard([PAY]).review(Key(key=key), NOTES, "")
    assert ruling.confirm
    assert (ruling.category, ruling.rule) == ("key", f"key:{key}")
    assert Guard().review(Key(key=key), NOTES, "") == FREE  # the task allows all


@pytest.mark.parametrize("key", ["recents", "volume_up", "volume_down"])
@pytest.mark.parametrize("scene", [NOTES, PAYPAL])
def test_keys_that_leave_the_app_alone_are_free(key: KeyName, scene: Scene) -> None:
    assert Guard([PAY]).review(Key(key=key), scene, "") == FREE


@pytest.mark.parametrize(
    "action", [Key(key="enter"), TypeText(text="hi", submit=True), TypeText(text="hi\n")]
)
def test_what_may_send_a_message_asks(action: Action) -> None:
    assert Guard([SEND]).review(action, CHAT, "").rule == "send:enter"
    assert Guard([SEND]).review(action, NOTES, "") == FREE


def test_enter_that_pays_by_the_models_own_words_asks() -> None:
    assert Guard([PAY]).review(Key(key="enter"), NOTES, "I press Enter to pay.").confirm
    assert Guard([PAY]).review(Key(key="enter"), PAYPAL, "").confirm


def test_a_drag_is_judged_as_a_swipe() -> None:
    drag = Drag(start=(100, 900), end=(900, 905))
    assert Guard([PAY]).review(drag, PAYPAL, "").confirm
    assert Guard([PAY]).review(drag, NOTES, "I drag the note.") == FREE


@pytest.mark.parametrize(
    ("action", "refused"),
    [
        (Key(key="enter"), True),
        (Key(key="power"), True),
        (Drag(start=(1, 1), end=(2, 2)), True),
        (Key(key="recents"), False),
        (Key(key="volume_up"), False),
    ],
)
def test_in_an_app_that_is_not_allowed_only_leaving_is_free(action: Action, refused: bool) -> None:
    guard = Guard(allowed={"org.notes": "Notes"})
    assert bool(guard.review(action, SHOP, "").refuse) is refused
