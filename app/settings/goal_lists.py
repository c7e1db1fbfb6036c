"""The goals that a small model knows: a TOML file with [[goal]] tables, named in profile.goals."""

from __future__ import annotations

from pydantic import Field, ValidationError

from app.errors import ConfigError
from app.settings.files import read_toml
from app.settings.sections import ProfileSettings, Section, Words


class GoalList(Section):
    """Sentences that ask for one kind of thing; `{x}` in them stands for any of the `things`."""

    title: str = Field(min_length=1)
    sentences: Words = Field(min_length=1)
    things: dict[str, Words] = {}


def load_goals(settings: ProfileSettings) -> tuple[GoalList, ...]:
    """Return the goals of the profile's model; none if it may be given any. Raises ConfigError."""
    path = settings.goals
    if path is None:
        return ()
    found = []
    document = read_toml(path)
    rows = document.pop("goal", None)
    if document or not isinstance(rows, list) or not rows:
        raise ConfigError(
            f"{path}: it must consist of [[goal]] tables",
            f"A goal has the keys {', '.join(GoalList.model_fields)}.",
        )
    for number, row in enumerate(rows, 1):
        try:
            goal = GoalList.model_validate(row)
            if any("{x}" in sentence for sentence in goal.sentences) and not goal.things:
                raise ConfigError(f"{path}: goal {number}: there are no things for {{x}}")
        except ValidationError as exc:
            first = exc.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigError(
                f"{path}: goal {number}: {where}: {first['msg']}",
                f"A goal has the keys {', '.join(GoalList.model_fields)}.",
            ) from exc
        found.append(goal)
    return tuple(found)
