"""Shop: items to buy, a cart, and a checkout that pays with one touch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.state import Order, Route
from app.virtual_phone.toolkit.controls import Key, KeyGrid
from app.virtual_phone.toolkit.rows import Header, LinkRow, Paragraph, ValueRow
from app.virtual_phone.toolkit.scene import Widget
from app.virtual_phone.toolkit.screen import IconButton, Screen

PACKAGE = "org.phonepilot.shop"


@dataclass(frozen=True)
class Article:
    name: str
    cents: int
    icon: str


ARTICLES = (
    Article("Headphones", 4_990, "music"),
    Article("Desk lamp", 2_450, "sun"),
    Article("Alarm clock", 1_890, "clock"),
    Article("Travel map", 790, "pin"),
)
_CENTS = {article.name: article.cents for article in ARTICLES}


class ShopApp:
    badge = Badge(
        PACKAGE,
        "Shop",
        "cart",
        (46, 125, 50),
        further=(("cart", ".CartActivity"), ("checkout", ".CheckoutActivity")),
    )

    def screen(self, hand: Hand, route: Route) -> Screen:
        if route.name == "cart":
            return self._cart(hand, route)
        if route.name == "checkout":
            return self._checkout(hand, route)
        if route.name == "thanks":
            thanks = Paragraph("Thank you! Your order is paid.", centered=True, padding=200)
            return Screen("Order", [thanks], back=hand.back)
        cart = IconButton("Cart", "cart", lambda: hand.open("cart"))
        rows: list[Widget] = [
            LinkRow(article.name, _adder(hand, article), _price(article.cents), article.icon)
            for article in ARTICLES
        ]
        hint = f"Touch what you want. In the cart: {len(hand.state.deeds.cart)}"
        return Screen("Shop", [Paragraph(hint), *rows], route.scroll, buttons=(cart,))

    def _cart(self, hand: Hand, route: Route) -> Screen:
        cart = hand.state.deeds.cart
        if not cart:
            empty = Paragraph("The cart is empty.", centered=True, padding=160)
            return Screen("Cart", [empty], back=hand.back)
        rows: list[Widget] = [ValueRow(name, _price(_CENTS[name])) for name in cart]
        out = Key("Go to checkout", lambda: hand.open("checkout"), strong=True)
        button = KeyGrid(((out,),), 200, text_size=52)
        return Screen("Cart", rows, route.scroll, back=hand.back, footer=[button])

    def _checkout(self, hand: Hand, route: Route) -> Screen:
        deeds = hand.state.deeds
        cents = sum(_CENTS[name] for name in deeds.cart)

        def pay() -> None:
            if deeds.cart:
                deeds.orders = [*deeds.orders, Order(items=deeds.cart, cents=cents)]
                deeds.cart = []
                hand.state.ui.stacks[PACKAGE] = [Route(), Route(name="thanks")]

        body: list[Widget] = [
            Header("Your order"),
            ValueRow(", ".join(deeds.cart) or "Nothing", _price(cents)),
            Header("Delivery"),
            ValueRow("Home address", "Lindenstr. 12"),
            Header("Payment"),
            ValueRow("Card", "ends in 4711"),
        ]
        button = KeyGrid(((Key(f"Pay {_price(cents)}", pay, strong=True),),), 200, text_size=52)
        return Screen("Checkout", body, route.scroll, back=hand.back, footer=[button])

    def leave(self, hand: Hand, route: Route) -> None:
        """The cart is kept."""


def _adder(hand: Hand, article: Article) -> Callable[[], None]:
    def add() -> None:
        hand.state.deeds.cart = [*hand.state.deeds.cart, article.name]

    return add


def _price(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d} €"
