"""Signing in with a token, in a real browser."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Browser, expect

from app.access_tokens import Tokens
from tests.e2e.conftest import service_process


async def test_the_dashboard_asks_for_a_token_and_shows_itself_for_a_valid_one(
    browser: Browser, tmp_path: Path
) -> None:
    secret = Tokens(tmp_path / "tokens.json").create("me", ["admin"])
    config = tmp_path / "always.toml"
    config.write_text('[service]\nauth = "always"\n', encoding="utf-8")
    with service_process(tmp_path, "-c", str(config)) as (url, _):
        page = await browser.new_page()
        await page.goto(url)
        field, button = page.get_by_label("Access token"), page.get_by_role("button")
        await field.fill("pp_wrong")
        await button.click()
        await expect(page.get_by_text("That token is not valid here.")).to_be_visible()
        await field.fill(secret)
        await button.click()
        await expect(page.get_by_label("What should the phone do?")).to_be_visible()
        await expect(page.get_by_text("Engine ready")).to_be_visible(timeout=30_000)
        Tokens(tmp_path / "tokens.json").revoke("me")
        await page.reload()
        await expect(page.get_by_label("Access token")).to_be_visible()
