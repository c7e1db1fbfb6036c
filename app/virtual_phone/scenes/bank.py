"""Bank: a page that asks for a user name and a password."""

from __future__ import annotations

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.state import Login, Route
from app.virtual_phone.toolkit.controls import Field, Key, KeyGrid
from app.virtual_phone.toolkit.rows import Paragraph, ValueRow
from app.virtual_phone.toolkit.scene import Widget
from app.virtual_phone.toolkit.screen import Screen

PACKAGE = "org.phonepilot.bank"
USER, PASSWORD = "bank.user", "bank.password"


class BankApp:
    badge = Badge(
        PACKAGE, "Bank", "person", (26, 60, 120), ".LoginActivity", (("account", ".MainActivity"),)
    )

    def screen(self, hand: Hand, route: Route) -> Screen:
        if route.name == "account":
            rows: list[Widget] = [
                ValueRow("Balance", "1 204.50 €"),
                ValueRow("Card", "ends in 4711"),
            ]
            return Screen("Accounts", rows, route.scroll)
        return self._login(hand, route)

    def _login(self, hand: Hand, route: Route) -> Screen:
        ui = hand.state.ui
        user, password = ui.drafts.get(USER, ""), ui.drafts.get(PASSWORD, "")

        def sign_in() -> None:
            if user and password:
                login = Login(package=PACKAGE, user=user, password=password)
                hand.state.deeds.logins = [*hand.state.deeds.logins, login]
                hand.focus(None)
                ui.stacks[PACKAGE] = [Route(name="account")]

        body: list[Widget] = [
            Paragraph("Your session has ended. Sign in to see your balance.", padding=40),
            Field(USER, user, "User name", lambda: hand.focus(USER), ui.focus == USER, ui.behind),
            Field(
                PASSWORD,
                "•" * len(password),
                "Password",
                lambda: hand.focus(PASSWORD),
                ui.focus == PASSWORD,
                ui.behind,
                password=True,
            ),
            KeyGrid(((Key("Sign in", sign_in, strong=True),),), 200, text_size=52),
        ]
        return Screen("Sign in", body, route.scroll)

    def leave(self, hand: Hand, route: Route) -> None:
        """Typed text is discarded."""
        for name in (USER, PASSWORD):
            hand.state.ui.drafts.pop(name, None)
