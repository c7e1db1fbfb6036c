"""Layers, origins and refusals of the settings."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel

import app
from app.agent.prompt import load_prompt
from app.errors import ConfigError
from app.settings import (
    AppsSettings,
    GuardSettings,
    ModelsSettings,
    Settings,
    configs_folder,
    load_apps,
    load_guard,
    load_models,
    load_settings,
    with_model,
)
from scripts.config_schema import render, schema

PACKAGE = Path(app.__file__).parent


def load(
    *configs: str | Path,
    overrides: dict[str, object] | None = None,
    environ: dict[str, str] | None = None,
) -> Settings:
    return load_settings(configs, overrides, environ or {})


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_default_toml_says_what_the_models_say() -> None:
    assert load() == Settings()


def test_default_toml_has_every_key_and_explains_itself() -> None:
    document = tomllib.loads((configs_folder() / "default.toml").read_text(encoding="utf-8"))
    for name, field in Settings.model_fields.items():
        section = field.annotation
        assert isinstance(section, type) and issubclass(section, BaseModel)
        assert set(document[name]) == set(section.model_fields) - {"api_key"}


@pytest.mark.parametrize(
    "name",
    [
        p.stem
        for p in configs_folder().glob("*.toml")
        if p.stem not in {"default", "apps", "guard", "models"}
    ],
)
def test_shipped_configs_load_by_name(name: str) -> None:
    shipped = tomllib.loads((configs_folder() / f"{name}.toml").read_text(encoding="utf-8"))
    variable = shipped["engine"].get("api_key_env", "")
    settings = load(name, environ={variable: "sk-1"} if variable else {})
    assert settings.engine.context >= 16384
    for lang in ("en", "zh") if name != "demo" else ("en",):
        assert load_prompt(settings.profile.prompt or "autoglm", lang, date(2026, 11, 20))


def test_the_demo_names_files_inside_the_package() -> None:
    settings = load("demo")
    assert settings.engine.model == PACKAGE / "demo" / "demo-q4_k_s.gguf"
    assert settings.engine.alias == "phonepilot-demo"
    assert (settings.profile.image_width, settings.profile.image_height) == (252, 560)


def test_later_layers_win(tmp_path: Path) -> None:
    path = write(tmp_path, "[engine]\ncontext = 1024\nparallel = 2\nthreads = 3\n")
    settings = load(
        "demo",
        path,
        overrides={"engine.threads": 5, "engine.parallel": None},
        environ={"PHONEPILOT_ENGINE__PARALLEL": "4", "PHONEPILOT_ENGINE__THREADS": "9"},
    )
    engine = settings.engine
    assert (engine.context, engine.parallel, engine.threads) == (1024, 4, 5)
    assert engine.alias == "phonepilot-demo"


def test_relative_paths_start_at_the_file_that_names_them(tmp_path: Path) -> None:
    path = write(tmp_path, '[engine]\nmodel = "models/m.gguf"\nbinary = "./bin/llama-server"\n')
    engine = load(path).engine
    assert engine.model == tmp_path / "models" / "m.gguf"
    assert Path(engine.binary) == tmp_path / "bin" / "llama-server"


def test_paths_know_home_and_bare_binaries_stay_names(tmp_path: Path) -> None:
    path = write(tmp_path, '[engine]\nmmproj = "~/p.gguf"\nbinary = "llama-server"\n')
    engine = load(path).engine
    assert engine.mmproj == Path.home() / "p.gguf"
    assert engine.binary == "llama-server"


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("ENGINE__GPU_LAYERS", "33", 33),
        ("ENGINE__GPU_LAYERS", "all", "all"),
        ("ENGINE__EXTRA_ARGS", "--temp 1 --path 'a b'", ("--temp", "1", "--path", "a b")),
        ("ENGINE__MODEL", "/m/x.gguf", Path("/m/x.gguf")),
        ("ENGINE__MODEL", "", None),
        ("ENGINE__ALIAS", "007", "007"),
        ("ENGINE__STOP_TIMEOUT_S", "2", 2.0),
        ("ADB__PRIVATE", "true", True),
        ("ADB__BINARY", "adb", "adb"),
    ],
)
def test_environment_is_read_as_the_type_of_the_key(key: str, text: str, value: object) -> None:
    settings = load(environ={f"PHONEPILOT_{key}": text})
    section, field = key.lower().split("__")
    assert getattr(getattr(settings, section), field) == value


def test_other_variables_are_left_alone() -> None:
    assert load(environ={"PHONEPILOT_HOME": "x", "ENGINE__PORT": "y"}) == load()


@pytest.mark.parametrize(
    ("toml", "message", "hint"),
    [
        ("[engine]\nmodle = 'x'", "engine: unknown key 'modle'", "Did you mean model?"),
        ("[engin]\nmodel = 'x'", "unknown section 'engin'", "Allowed: service, adb, engine"),
        ("engine = 1", "engine: must be a table [engine]", ""),
        ("[engine]\nkind = 'vllm'", "engine.kind: 'vllm' is not allowed", "'llama-server'"),
        ("[engine]\ncontext = '4096'", "engine.context: '4096' is not allowed", "integer"),
        ("[engine]\ngpu_layers = 'most'", "engine.gpu_layers: 'most'", "'auto' or 'all'"),
        ("[engine]\nextra_args = '-v'", "engine.extra_args: '-v'", "tuple"),
        ("[engine]\nmodel = 5", "engine.model: 5 is not allowed", ""),
        ("[engine]\nurl = 'localhost:8080'", "engine.url", "pattern"),
        ("[service]\nport = 65536", "service.port: 65536", "less than or equal to 65535"),
        ("[service]\nport = true", "service.port: True", "integer"),
        ("[profile]\nprompt = '../x'", "profile.prompt", "pattern"),
        ("[engine]\napi_key = 'secret'", "unknown key 'api_key'", "api_key_env"),
        ("[engine", "not valid TOML", ""),
    ],
)
def test_a_mistake_names_file_key_and_rule(
    tmp_path: Path, toml: str, message: str, hint: str
) -> None:
    path = write(tmp_path, toml)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(path) in caught.value.message
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_mistake_in_the_environment_names_the_variable() -> None:
    with pytest.raises(ConfigError, match="PHONEPILOT_ENGINE__PORT: engine.port: 'x'"):
        load(environ={"PHONEPILOT_ENGINE__PORT": "x"})
    with pytest.raises(ConfigError, match="PHONEPILOT_ENGINE__PROT: engine: unknown key 'prot'"):
        load(environ={"PHONEPILOT_ENGINE__PROT": "1"})


def test_a_mistake_on_the_command_line_says_so() -> None:
    with pytest.raises(ConfigError, match="command line: service.port: 70000"):
        load(overrides={"service.port": 70000})


def test_an_unknown_config_names_the_shipped_ones() -> None:
    with pytest.raises(ConfigError, match="configuration not found: dmeo") as caught:
        load("dmeo")
    assert {"autoglm-phone-9b", "demo", "rtx-4060-8gb"} <= set(
        re.findall(r"[\w.-]+\w", caught.value.hint)
    )


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="configuration not found"):
        load(tmp_path)


def test_the_api_key_comes_from_the_named_variable_and_stays_hidden() -> None:
    environ = {"PHONEPILOT_ENGINE__API_KEY_ENV": "MY_KEY", "MY_KEY": "sk-123"}
    settings = load(environ=environ)
    assert settings.engine.api_key.get_secret_value() == "sk-123"
    assert "sk-123" not in repr(settings)
    with pytest.raises(ConfigError, match="the variable MY_KEY is not set"):
        load(environ={"PHONEPILOT_ENGINE__API_KEY_ENV": "MY_KEY"})


@pytest.mark.parametrize("around", ["sk-123\n", "sk-123\r\n", " sk-123 "])
def test_the_space_around_a_key_that_was_read_from_a_file_is_no_part_of_it(around: str) -> None:
    settings = load(environ={"PHONEPILOT_ENGINE__API_KEY_ENV": "MY_KEY", "MY_KEY": around})
    assert settings.engine.api_key.get_secret_value() == "sk-123"


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("sk-1\n23", "holds what is no key"),
        ("sk-123\N{LATIN SMALL LETTER E WITH ACUTE}", "holds what is no key"),
        ("sk-1\x0023", "holds what is no key"),
        (" \n", "is empty"),
    ],
)
def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(key: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"the variable MY_KEY {why}") as caught:
        load(environ={"PHONEPILOT_ENGINE__API_KEY_ENV": "MY_KEY", "MY_KEY": key})
    assert "sk-1" not in f"{caught.value.message} {caught.value.hint}"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().engine.port = 1


def test_own_apps_replace_and_extend_the_shipped_ones(tmp_path: Path) -> None:
    shipped = load_apps(AppsSettings())
    first = shipped[0]
    path = write(
        tmp_path,
        f'[[app]]\nname = "{first.name}"\npackage = "org.mine"\n'
        '[[app]]\nname = "Nested"\naliases = ["N"]\npackage = "org.nested"\n',
    )
    apps = {entry.name: entry for entry in load_apps(AppsSettings(file=path))}
    assert len(apps) == len(shipped) + 1
    assert apps[first.name].package == "org.mine"
    assert apps["Nested"].aliases == ("N",)


@pytest.mark.parametrize("toml", ["[[app]]\nname = 'x'", "app = 5", "[[app]]\nnme = 'x'"])
def test_a_broken_apps_file_is_named(tmp_path: Path, toml: str) -> None:
    path = write(tmp_path, toml)
    with pytest.raises(ConfigError, match=r"mine\.toml: app"):
        load_apps(AppsSettings(file=path))


def test_own_guard_lists_add_to_the_shipped_ones(tmp_path: Path) -> None:
    path = tmp_path / "guard.toml"
    path.write_text(
        '[pay]\nask_in = ["org.mine/*"]\n[pay.words]\nen = ["splurge"]\nnl = ["betaal"]\n'
        '[garden]\ntitle = "watering"\nenter = true\n[garden.words]\nen = ["water"]\n',
        encoding="utf-8",
    )
    shipped = load_guard(load().guard)
    mine = load_guard(load(write(tmp_path, '[guard]\nfile = "guard.toml"')).guard)
    assert mine["pay"].title == shipped["pay"].title
    assert mine["pay"].ask_in == (*shipped["pay"].ask_in, "org.mine/*")
    assert mine["pay"].words["en"] == (*shipped["pay"].words["en"], "splurge")
    assert mine["pay"].words["nl"] == ("betaal",)
    assert (mine["garden"].title, mine["garden"].enter) == ("watering", True)
    assert {name: mine[name] for name in shipped if name != "pay"} == {
        name: lists for name, lists in shipped.items() if name != "pay"
    }


def test_guard_categories_and_entries_can_be_switched_off(tmp_path: Path) -> None:
    off = ["screen", "pay:word:en:donate", "pay:app:com.paypal.*", "send:look:com.reddit.*"]
    guard = load_guard(load(write(tmp_path, f"[guard]\noff = {off}")).guard)
    assert "screen" not in guard
    assert "donate" not in guard["pay"].words["en"] and "pay" in guard["pay"].words["en"]
    assert "com.paypal.*" not in guard["pay"].ask_in and guard["pay"].ask_in
    assert "com.reddit.*" not in guard["send"].look_in


@pytest.mark.parametrize(
    ("guard", "message", "hint"),
    [
        ("[pay]\nwrods = []", "guard.toml: pay.wrods", "ask_in"),
        ("[pay.words]\nen = 'pay'", "guard.toml: pay.words.en", "words"),
        ("[pay.words]\nEnglish = ['pay']", "guard.toml: pay.words.English", ""),
        ("pay = 5", "guard.toml: pay", ""),
        ("[pay]\nenter = 'always'", "guard.toml: pay.enter", ""),
        ("[garden.words]\nen = ['water']", "guard.toml: garden: a category of your own", "pay"),
        ("[garden", "not valid TOML", ""),
    ],
)
def test_a_mistake_in_guard_lists_names_file_and_key(
    tmp_path: Path, guard: str, message: str, hint: str
) -> None:
    (tmp_path / "guard.toml").write_text(guard, encoding="utf-8")
    settings = load(write(tmp_path, '[guard]\nfile = "guard.toml"')).guard
    with pytest.raises(ConfigError) as caught:
        load_guard(settings)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_what_is_switched_off_must_be_there() -> None:
    with pytest.raises(ConfigError, match="guard.off: no such .* 'pay:word:en:donat'") as caught:
        load_guard(load(environ={"PHONEPILOT_GUARD__OFF": "pay:word:en:donat"}).guard)
    assert "'pay:word:en:donate'" in caught.value.hint


def test_the_old_keys_of_the_guard_say_where_the_lists_went(tmp_path: Path) -> None:
    for key in ("payment_words", "message_apps"):
        with pytest.raises(ConfigError, match=f"guard.{key}: no longer a key") as caught:
            load(write(tmp_path, f"[guard]\n{key} = []"))
        assert "guard.file" in caught.value.hint


def test_shipped_guard_lists_are_clean() -> None:
    """Every category speaks every language; no entry stands in a list twice."""
    for name, lists in load_guard(GuardSettings()).items():
        assert set(lists.words) >= {"en", "zh", "de", "fr", "es", "pt", "ja", "ko"}, name
        for kind in (lists.words, lists.labels, lists.fields):
            for language, entries in kind.items():
                assert len(set(entries)) == len(entries), (name, language)


values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text())
)


@given(
    section=st.sampled_from([*Settings.model_fields, "junk"]),
    key=st.one_of(
        st.sampled_from(sorted({"port", "model", "context", "extra_args", "lang", "file"})),
        st.text(),
    ),
    value=values,
)
def test_junk_is_either_accepted_or_refused_with_a_reason(
    section: str, key: str, value: object
) -> None:
    try:
        load(overrides={f"{section}.{key}": value})
    except ConfigError as exc:
        assert exc.message.startswith("command line")
        assert exc.hint


@given(data=st.binary(max_size=60))
def test_a_file_of_junk_never_raises_anything_else(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "junk.toml"
    path.write_bytes(data)
    try:
        load(path)
    except ConfigError as exc:
        assert str(path) in exc.message


def test_the_schema_is_that_of_the_settings() -> None:
    there = (configs_folder() / "schema.json").read_text(encoding="utf-8")
    again = "python scripts/config_schema.py > configs/schema.json"
    assert there == render(), f"make it anew: {again}"
    described = json.loads(there)["$defs"]["ServiceSettings"]["properties"]["auth"]
    assert described["enum"] == ["auto", "always"]
    assert "access token" in described["description"]


@pytest.mark.parametrize(
    "path", sorted(configs_folder().glob("*.toml")), ids=lambda path: path.stem
)
def test_every_shipped_file_is_as_the_schema_says(path: Path) -> None:
    of_its_own: dict[str, Callable[[], object]] = {
        "apps": lambda: load_apps(AppsSettings(file=path)),
        "guard": lambda: load_guard(GuardSettings(file=path)),
        "models": lambda: load_models(ModelsSettings(file=path)),
    }
    if path.stem in of_its_own:
        assert of_its_own[path.stem]()
    else:
        Draft202012Validator(schema()).validate(tomllib.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "text",
    [
        "[servic]\nport = 1",
        "[service]\nprot = 1",
        "[service]\nport = 70000",
        "[service]\nport = '1'",
        "[service]\nauth = 'never'",
        "[service]\nallowed_hosts = 'me'",
        "[engine]\napi_key = 'x'",
        "[engine]\ngpu_layers = 'some'",
        "[adb]\nreturn_timeout_s = 0",
    ],
)
def test_the_schema_refuses_what_the_settings_refuse(text: str, tmp_path: Path) -> None:
    assert list(Draft202012Validator(schema()).iter_errors(tomllib.loads(text)))
    (tmp_path / "wrong.toml").write_text(text)
    with pytest.raises(ConfigError):
        load_settings([tmp_path / "wrong.toml"], environ={})


def test_the_form_of_a_request_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "[engine]\n"
        'rename_fields = {max_tokens = "max_completion_tokens"}\n'
        'omit_fields = ["top_p"]\n'
        'extra_fields = {thinking = {type = "disabled"}}\n',
    )
    engine = load(file).engine
    assert engine.rename_fields == {"max_tokens": "max_completion_tokens"}
    assert (engine.omit_fields, engine.extra_fields) == (
        ("top_p",),
        {"thinking": {"type": "disabled"}},
    )
    own = {
        "PHONEPILOT_ENGINE__OMIT_FIELDS": "top_p temperature",
        "PHONEPILOT_ENGINE__EXTRA_FIELDS": '{"enable_thinking": false}',
    }
    engine = load(file, environ=own).engine
    assert engine.omit_fields == ("top_p", "temperature")
    assert engine.extra_fields == {"enable_thinking": False}


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('rename_fields = {messages = "input"}', "rename_fields"),
        ('rename_fields = {max_tokens = "a b"}', "rename_fields"),
        ('omit_fields = ["messages"]', "omit_fields"),
        ("extra_fields = {stream = false}", "extra_fields"),
        ("extra_fields = 5", "extra_fields"),
        ("image_max_mib = -1.0", "image_max_mib"),
    ],
)
def test_a_request_keeps_what_it_needs(line: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"engine.{key}"):
        load(write(tmp_path, f"[engine]\n{line}\n"))


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": ' * 5000, "null"])
def test_a_table_in_the_environment_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="PHONEPILOT_ENGINE__EXTRA_FIELDS: engine.extra_fields"):
        load(environ={"PHONEPILOT_ENGINE__EXTRA_FIELDS": text})


@pytest.mark.parametrize("by", ["demo", str(configs_folder() / "demo.toml")])
def test_another_model_gets_none_of_the_limits_of_the_one_before(by: str, tmp_path: Path) -> None:
    """However the configuration of that one was named."""
    own = tmp_path / "models.toml"
    own.write_text(
        '[[model]]\nname = "big"\ntitle = "Big"\nconfig = "autoglm-phone-9b"\n'
        'model = "package:demo/demo-q4_k_s.gguf"\nmmproj = "package:demo/demo-mmproj-f16.gguf"\n',
        encoding="utf-8",
    )
    settings = load_settings((by,), {"models.file": str(own)}, {})
    changed = with_model(settings, "big")
    assert changed.agent.max_steps == Settings().agent.max_steps != settings.agent.max_steps
    assert changed.profile.goals is None
