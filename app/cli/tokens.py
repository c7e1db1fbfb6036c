"""The command `phonepilot tokens`."""

from __future__ import annotations

from typing import Annotated

import typer

from app.access_tokens import RIGHTS, Tokens, webhook_secret
from app.cli.options import Config, Json
from app.cli.show import Terminal, print_json, shown
from app.settings import load_settings

tokens_app = typer.Typer(
    help="Make and revoke access tokens for a service that others can reach.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
Name = Annotated[str, typer.Argument(help="Whom or what the token is for.")]


def _tokens(config: list[str] | None) -> Tokens:
    return Tokens(load_settings(config or []).tokens_file)


@tokens_app.command(
    epilog="Examples: `phonepilot tokens create me`, "
    "`phonepilot tokens create ci --right read --right run`"
)
def create(
    name: Name,
    right: Annotated[
        list[str] | None,
        typer.Option(help=f"One or more of {', '.join(RIGHTS)}. Default: admin, which is all."),
    ] = None,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Create a token and print it once: only its hash is stored."""
    secret = _tokens(config).create(name, right or ["admin"])
    if json_:
        print_json({"name": name, "rights": right or ["admin"], "token": secret})
        return
    typer.echo(secret)
    typer.echo(
        "Keep it: it is not shown again. Programs send it as `Authorization: Bearer TOKEN`, the\n"
        "command line takes it from PHONEPILOT_TOKEN, and the dashboard asks for it.",
        err=True,
    )


@tokens_app.command("list", epilog="Example: `phonepilot tokens list --json`")
def list_tokens(config: Config = None, json_: Json = False) -> None:
    """List the tokens by name, never by their secrets."""
    rows = [
        {
            "name": token.name,
            "rights": sorted(token.rights),
            "created_at": token.created_at.isoformat(timespec="seconds"),
        }
        for token in _tokens(config).all()
    ]
    if json_:
        print_json({"tokens": rows})
        return
    terminal = Terminal()
    if rows:
        terminal.say(f"[dim]{'name':<24}{'rights':<28}created[/]")
    for row in rows:
        rights = ", ".join(row["rights"])
        terminal.say(f"{shown(str(row['name'])):<24}{rights:<28}{row['created_at']}")
    if not rows:
        terminal.say("No tokens. Make one with `phonepilot tokens create NAME`.")


@tokens_app.command("webhook-secret", epilog="Example: `phonepilot tokens webhook-secret`")
def show_webhook_secret(config: Config = None) -> None:
    """Print the secret with which receivers verify that webhooks come from this service."""
    typer.echo(webhook_secret(load_settings(config or []).webhook_secret_file))


@tokens_app.command(epilog="Example: `phonepilot tokens revoke ci`")
def revoke(name: Name, config: Config = None) -> None:
    """Revoke a token; a running service rejects it from the next request on."""
    _tokens(config).revoke(name)
    Terminal().say(f"Revoked {shown(name)}.")
