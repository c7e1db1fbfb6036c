"""The container's files, held to what must be true of them where no Docker can build them, and its
entry point as it runs: outside of Docker, with the demo's configuration and a virtual phone."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from app.settings import ENV_PREFIX, load_settings
from tests.e2e.conftest import READY_S, STOP_S, service_environment
from tests.phones import ROOT, phone_process

DOCKER = ROOT / "docker"
IMAGE = re.compile(r"^[a-z0-9./-]+:(?P<tag>[\w.-]+)$")
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")
POLL_S = 0.1
COMPOSE_FILES = ("compose.yaml", "compose.usb.yaml")
BUILT_IN = {"PATH", "HOME", "MODELS_DIR", "LLAMA_ARG_HOST", "NVIDIA_DRIVER_CAPABILITIES"}
"""Variables that are not phonepilot's: of the system, the entry point, llama-server, NVIDIA."""


def instructions() -> list[tuple[str, str]]:
    """(name, arguments) of each instruction of the Dockerfile, comments left out, lines joined."""
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    return [(name, " ".join(arguments.split())) for name, arguments in found]


def named(name: str) -> list[str]:
    return [arguments for each, arguments in instructions() if each == name]


def arguments_of_build() -> dict[str, str]:
    return dict(argument.split("=", 1) for argument in named("ARG"))


def environment_of_image() -> dict[str, str]:
    words = [word for line in named("ENV") for word in shlex.split(line)]
    return dict(word.split("=", 1) for word in words)


def compose(name: str = "compose.yaml") -> dict[str, Any]:
    return dict(yaml.safe_load((DOCKER / name).read_text(encoding="utf-8")))


def with_defaults(value: str) -> str:
    """The value as Compose gives it where no variable is set."""
    return VARIABLE.sub(lambda found: found["default"] or "", value)


SERVICES: dict[str, dict[str, Any]] = compose()["services"]


def copied_from_the_checkout() -> list[str]:
    copies = [shlex.split(line) for line in named("COPY")]
    return [word for words in copies for word in [w for w in words if not w.startswith("--")][:-1]]


def test_every_image_is_pinned() -> None:
    arguments = arguments_of_build()
    stages = {line.split(" AS ")[1] for line in named("FROM")}
    for line in named("FROM"):
        image = VARIABLE.sub(lambda found: arguments[found["name"]], line.split(" AS ")[0])
        found = IMAGE.match(image)
        assert image in stages or (found and found["tag"] != "latest"), image
    for service in SERVICES.values():
        found = IMAGE.match(service["image"])
        assert found and found["tag"] != "latest"


def test_both_engines_of_compose_can_be_built() -> None:
    stages = {line.split(" AS ")[1] for line in named("FROM")}
    for service in SERVICES.values():
        build = service["build"]
        assert f"{build['args']['ENGINE']}-base" in stages
        assert set(build["args"]) <= set(arguments_of_build())
        assert (DOCKER / build["context"] / build["dockerfile"]).samefile(DOCKER / "Dockerfile")


def test_the_image_of_llama_cpp_is_the_same_in_both_files() -> None:
    said = with_defaults(SERVICES["phonepilot"]["build"]["args"]["LLAMA_CPP_IMAGE"])
    assert said == arguments_of_build()["LLAMA_CPP_IMAGE"]


def test_nothing_runs_as_root() -> None:
    after = [name for name, _ in instructions()]
    assert named("USER") == ["phonepilot"]
    # A second FROM would start again as root.
    assert after.index("USER") > len(after) - after[::-1].index("FROM")
    assert "RUN" not in after[after.index("USER") :]
    (user,) = (line for line in named("RUN") if "useradd" in line)
    assert "phonepilot /data /models" in user
    for service in SERVICES.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service


@pytest.mark.parametrize("path", copied_from_the_checkout())
def test_what_is_copied_exists_and_reaches_the_build(path: str) -> None:
    assert (ROOT / path).exists()
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert f"!{path}" in ignored


def test_nothing_more_reaches_the_build() -> None:
    lines = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == set(copied_from_the_checkout())


def test_the_wheel_is_built_of_all_that_pyproject_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        "pyproject.toml",
        project["project"]["readme"],
        *project["project"]["license-files"],
        *wheel["packages"],
        *wheel["force-include"],
        Path(project["tool"]["hatch"]["version"]["path"]).parts[0],
    }
    assert needed <= set(copied_from_the_checkout())


def test_pip_installs_that_wheel_and_the_tested_versions() -> None:
    (built,) = (line for line in named("RUN") if "pip wheel" in line)
    (installed,) = (line for line in named("RUN") if "pip install" in line)
    folder = built.split("--wheel-dir ")[1].split()[0]
    assert installed.endswith(f"--no-deps {folder}/*.whl")
    assert "--no-deps --require-hashes -r /tmp/run-time.txt" in installed
    assert "from=wheel" in installed
    assert "constraints.txt /tmp/constraints.txt" in named("COPY")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned, mark, _ = (
        (ROOT / "constraints.txt").read_text(encoding="utf-8").partition("# Only for development")
    )
    assert mark
    for dependency in project["dependencies"]:
        name = re.split(r"[<>=[]", dependency)[0]  # without its extras, which are pinned by name
        assert re.search(rf"^{re.escape(name)}==", pinned, re.MULTILINE), name


@pytest.mark.parametrize("line", named("RUN"), ids=range(len(named("RUN"))))
def test_what_the_build_runs_is_shell(line: str) -> None:
    script = re.sub(r"^(--\S+ )+", "", line)
    done = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_is_a_setting(service: str, tmp_path: Path) -> None:
    given = SERVICES[service]["environment"]
    texts = {name: with_defaults(value or "") for name, value in given.items()}
    image = environment_of_image()
    for name in {*image, *texts}:
        assert name in BUILT_IN or name.startswith(ENV_PREFIX), name
    settings = load_settings((), environ={**image, **texts})  # a wrong name raises
    assert settings.service.data_dir == Path("/data")
    assert (settings.service.host, settings.service.port) == ("127.0.0.1", 8770)
    assert settings.engine.binary == "/app/llama-server"


def test_no_secret_is_written_down() -> None:
    texts = [path.read_text(encoding="utf-8") for path in sorted(DOCKER.iterdir())]
    words = re.compile(r"(?i)(password|passwd|secret|token|api_?key)\w*\s*[:=]\s*['\"]?\w")
    assert not [found.group() for text in texts for found in words.finditer(text)]
    assert not [name for name in environment_of_image() if re.search("TOKEN|KEY|SECRET", name)]


@pytest.mark.parametrize("service", SERVICES)
def test_compose_runs_a_command_that_exists(service: str) -> None:
    command = [with_defaults(word) for word in SERVICES[service]["command"]]
    assert command[:2] == ["serve", "-c"]
    load_settings(command[2:])
    assert named("CMD") == ['["serve"]']


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reaches_its_volumes_and_no_more(service: str) -> None:
    declared = compose()["volumes"]
    targets = []
    for volume in SERVICES[service]["volumes"]:
        source, target = volume.split(":")
        assert source in declared
        targets.append(target)
    assert json.loads(named("VOLUME")[0]) == targets
    # The host's adb server and a service without tokens are on loopback, which no port reaches.
    assert SERVICES[service]["network_mode"] == "host"
    assert "ports" not in SERVICES[service]


def test_only_the_cuda_service_takes_a_gpu() -> None:
    (device,) = SERVICES["phonepilot"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert "deploy" not in SERVICES["phonepilot-cpu"]
    assert {name: each["profiles"] for name, each in SERVICES.items()} == {
        "phonepilot": ["cuda"],
        "phonepilot-cpu": ["cpu"],
    }


def test_usb_is_given_to_the_same_services() -> None:
    usb = compose("compose.usb.yaml")["services"]
    assert set(usb) == set(SERVICES)
    for service in usb.values():
        assert service["volumes"] == ["/dev/bus/usb:/dev/bus/usb"]
        assert service["device_cgroup_rules"] == ["c 189:* rmw"]


def test_the_image_needs_no_other_adb_program() -> None:
    """That of adbutils' wheel is the one; the build installs none."""
    package = importlib.util.find_spec("adbutils")
    assert package is not None and package.origin is not None
    assert (Path(package.origin).parent / "binaries" / "adb").is_file()
    assert not any(re.search(r"\badb\b", line) for line in named("RUN"))


class Container:
    """The entry point with the two folders and the variables of the image, outside of Docker."""

    def __init__(self, folder: Path) -> None:
        self.data, self.models = folder / "data", folder / "models"
        self.models.mkdir(parents=True)
        self.environment = service_environment(self.data) | {
            "MODELS_DIR": str(self.models),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(DOCKER / "entrypoint.sh"), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=self.data.parent,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=READY_S)
            return process.returncode, out, err


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


def healthy(port: str) -> bool:
    """What the image's HEALTHCHECK says, by its very command."""
    (line,) = named("HEALTHCHECK")
    command = json.loads(line.split(" CMD ")[1])
    environment = {"PATH": os.environ["PATH"], "PHONEPILOT_SERVICE__PORT": port}
    done = subprocess.run(
        [sys.executable, *command[1:]], env=environment, capture_output=True, check=False
    )
    return done.returncode == 0


def test_the_service_runs_until_it_is_told_to_end(container: Container) -> None:
    with phone_process() as phone, container.start("serve", "-c", "demo") as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            assert found, line
            url, port = found.group(), found.group(1)
            end = time.monotonic() + READY_S
            while not healthy(port):
                assert time.monotonic() < end
                time.sleep(POLL_S)
            answer = httpx.post(
                f"{url}/devices/connect",
                json={"address": phone.serial},
                trust_env=False,
                timeout=30,
            )
            assert answer.is_success, answer.text
            family = psutil.Process(process.pid).children(recursive=True)
        finally:
            process.send_signal(signal.SIGTERM)
        process.wait(STOP_S)
        assert process.returncode == 128 + signal.SIGTERM
        assert "Traceback" not in process.stderr.read()
        assert not healthy(port)
        _, alive = psutil.wait_procs(family, timeout=STOP_S)
        assert not alive


def test_pulled_models_go_into_their_own_volume(container: Container) -> None:
    code, _, err = container.run("--version")
    assert (code, err) == (0, "")
    assert (container.data / "models").resolve() == container.models.resolve()
    assert container.run("--version")[0] == 0  # the link is there already


def test_models_that_lie_in_the_data_folder_stay(container: Container) -> None:
    (container.data / "models" / "mine").mkdir(parents=True)
    assert container.run("--version")[0] == 0
    assert not (container.data / "models").is_symlink()


def test_a_data_folder_that_is_not_there_ends_it(container: Container) -> None:
    container.environment["PHONEPILOT_SERVICE__DATA_DIR"] = str(container.data / "none")
    code, out, err = container.run("--version")
    assert (code, out) == (78, "")
    assert f"cannot write {container.data / 'none'}" in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_folder_of_another_user_ends_it(container: Container) -> None:
    container.data.chmod(0o555)
    code, _, err = container.run("--version")
    container.data.chmod(0o755)
    assert code == 78
    assert "sudo chown" in err


def test_a_missing_folder_for_models_is_told(container: Container) -> None:
    container.environment["MODELS_DIR"] = str(container.models / "none")
    code, _, err = container.run("--version")
    assert code == 0
    assert f"no folder {container.models / 'none'}" in err
    assert not (container.data / "models").exists()


def nvidia_smi(folder: Path, code: int) -> str:
    """A folder for PATH in which the driver's program says whether there is a GPU."""
    folder.mkdir()
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nexit {code}\n", encoding="utf-8")
    program.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(("code", "told"), [(0, False), (9, True)])
def test_a_missing_gpu_is_told(container: Container, tmp_path: Path, code: int, told: bool) -> None:
    program = nvidia_smi(tmp_path / "bin", code)
    container.environment["PATH"] = f"{program}{os.pathsep}{container.environment['PATH']}"
    container.environment["PHONEPILOT_ENGINE__KIND"] = "llama-server"
    ended, _, err = container.run("--version")
    assert ended == 0
    assert ("no GPU can be seen" in err) is told


def test_the_guide_names_what_there_is() -> None:
    guide = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
    for service in SERVICES:
        assert f"`{service}`" in guide
    files = [(DOCKER / name).read_text(encoding="utf-8") for name in COMPOSE_FILES]
    variables = {found["name"] for text in files for found in VARIABLE.finditer(text)}
    for name in variables:
        assert f"`{name}`" in guide, name
    for command in re.findall(r"^docker compose .*$", guide, re.MULTILINE):
        for path in re.findall(r"-f (\S+)", command):
            assert (ROOT / path).is_file(), command
