"""The rules that stand outside the model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.actions import Action, Back, Home, LongPress, Swipe, Tap, TypeText, Wait
from app.agent.guard import FREE, Guard, Sensitive

TAP = Tap(element=(500, 900))
SHOP = ("com.shop", ".CheckoutActivity")
NOTES = ("org.notes", ".Main")
PAYMENT = Sensitive(
    "a payment", ("com.paypal.*", "*/*checkout*"), ("pay", "place the order", "支付"), True
)
MESSAGES = Sensitive("messages", ("com.whatsapp/*",), ("send the message",))
SWIPE = Swipe(start=(1, 1), end=(2, 2))


SLIDE = Swipe(start=(100, 900), end=(900, 905))


@pytest.mark.parametrize("action", [TAP, LongPress(element=(1, 1)), TypeText(text="4111"), SLIDE])
@pytest.mark.parametrize("place", [SHOP, ("com.paypal.android", ".Home")])
def test_touching_a_page_of_payment_needs_consent(action: Action, place: tuple[str, str]) -> None:
    ruling = Guard([PAYMENT]).review(action, *place, "I go on.")
    assert "a payment" in ruling.confirm
    assert action.describe() in ruling.confirm


@pytest.mark.parametrize("action", [Back(), Home(), SWIPE, Wait(seconds=1)])
def test_looking_and_leaving_are_free(action: Action) -> None:
    assert Guard([PAYMENT]).review(action, *SHOP, "Do I pay here?") == FREE


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
    assert bool(Guard([PAYMENT]).review(TAP, *NOTES, thought).confirm) is asked


def test_what_is_to_be_typed_counts_as_said() -> None:
    assert Guard([PAYMENT]).review(TypeText(text="place the order"), *NOTES, "").confirm


def test_consent_lasts_for_the_task_but_not_for_payments() -> None:
    guard = Guard([PAYMENT, MESSAGES])
    for place, again in (("com.whatsapp", False), ("com.paypal.me", True)):
        ruling = guard.review(TAP, place, ".Main", "")
        assert ruling.confirm
        guard.grant(ruling)
        assert bool(guard.review(TAP, place, ".Main", "").confirm) is again


def test_a_model_that_asks_by_itself_is_heard() -> None:
    action = Tap(element=(1, 1), message="Deletes everything")
    assert Guard().review(action, *NOTES, "").confirm == "Deletes everything"


def test_outside_the_allowed_apps_only_leaving_is_free() -> None:
    guard = Guard(allowed={"org.notes": "Notes"})
    assert guard.review(TAP, *NOTES, "") == FREE
    refused = guard.review(TAP, *SHOP, "").refuse
    assert "com.shop" in refused
    assert "Notes" in refused
    assert guard.review(SWIPE, *SHOP, "").refuse
    assert guard.review(Back(), *SHOP, "") == FREE
    assert guard.review(TAP, "com.android.systemui", ".Shade", "") == FREE
    assert guard.review_launch("org.notes") == FREE
    assert guard.review_launch("com.shop").refuse


@given(st.text(), st.text(), st.text(), st.text())
def test_no_text_breaks_it_or_frees_a_payment(
    package: str, activity: str, thought: str, text: str
) -> None:
    guard = Guard([PAYMENT])
    guard.review(TypeText(text=text), package, activity, thought)
    assert guard.review(TypeText(text=text), *SHOP, thought).confirm
