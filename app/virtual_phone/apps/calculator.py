"""Calculator: four operations, exact decimals."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, DivisionByZero, InvalidOperation

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.state import Route
from app.virtual_phone.toolkit.controls import Key, KeyGrid
from app.virtual_phone.toolkit.rows import Paragraph
from app.virtual_phone.toolkit.screen import Screen

ROWS = ("C÷×⌫", "789-", "456+", "123=", "0.")
MAX_LENGTH = 24


class CalculatorApp:
    badge = Badge("org.phonepilot.calculator", "Calculator", "calculator", (0, 137, 123))

    def screen(self, hand: Hand, route: Route) -> Screen:
        rows = tuple(tuple(self._key(hand, label) for label in row) for row in ROWS)
        display = Paragraph(hand.state.ui.calculator or "0", size=110, padding=120)
        return Screen("Calculator", [display], footer=[KeyGrid(rows, 260, text_size=80)])

    def leave(self, hand: Hand, route: Route) -> None:
        """The display is kept."""

    def _key(self, hand: Hand, label: str) -> Key:
        icon = "backspace" if label == "⌫" else ""
        return Key(label, self._presser(hand, label), icon, strong=label == "=")

    def _presser(self, hand: Hand, label: str) -> Callable[[], None]:
        def press() -> None:
            ui = hand.state.ui
            if label == "C":
                ui.calculator = ""
            elif label == "⌫":
                ui.calculator = ui.calculator[:-1]
            elif label == "=":
                ui.calculator = evaluate(ui.calculator)
            elif len(ui.calculator) < MAX_LENGTH:
                ui.calculator += label

        return press


_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_SUM = re.compile(rf"-?{_NUMBER}(?:[-+×÷]{_NUMBER})*")


def evaluate(expression: str) -> str:
    """Return the value of `12+3×4÷5-6` with the usual precedence; "Error" if it is invalid."""
    if not expression:
        return ""
    if not _SUM.fullmatch(expression):
        return "Error"
    first, *rest = re.findall(rf"(^-?|[-+×÷])({_NUMBER})", expression)
    terms = [Decimal("".join(first))]
    try:
        for operator, number in rest:
            value = Decimal(number)
            if operator == "×":
                terms[-1] *= value
            elif operator == "÷":
                terms[-1] /= value
            else:
                terms.append(value if operator == "+" else -value)
    except (InvalidOperation, DivisionByZero):
        return "Error"
    return f"{sum(terms, Decimal()).normalize():f}"
