"""Every role says the same thing three times: defaults, argument_specs and README.

A variable that is missing in one of them is one that a user cannot find, or that Ansible does not check.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from edgetally.bill import contracts
from edgetally.formats.catalogue import PASTED, parse_format
from edgetally.tally.channels import ChannelMap
from roles.edge_shipper.filter_plugins.edge_problems import KEYS
from tests.support import ROOT

ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if (path / "tasks").is_dir())


def read(role: str, file: str) -> Any:
    """What a YAML file of a role holds."""
    return yaml.safe_load((ROOT / "roles" / role / file).read_text(encoding="utf-8"))


def options(role: str) -> dict[str, dict[str, Any]]:
    """The options of the role's main entry point, by name."""
    found: dict[str, dict[str, Any]] = read(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return found


def rows(role: str) -> dict[str, str]:
    """README's table with the head `| variable | default | …`: the default's cell by the variable's name."""
    text = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    table = text.partition("| variable | default |")[2].partition("\n\n")[0]
    return {name: cell.strip() for name, cell in re.findall(r"^\| `(\w+)` \|([^|]*)\|", table, re.MULTILINE)}


@pytest.mark.parametrize("role", ROLES)
def test_defaults_equal_argument_specs(role: str) -> None:
    specs = {name: option["default"] for name, option in options(role).items() if not option.get("required")}
    assert read(role, "defaults/main.yml") == specs


@pytest.mark.parametrize("role", ROLES)
def test_required_variables_stay_commented_in_defaults(role: str) -> None:
    text = (ROOT / "roles" / role / "defaults/main.yml").read_text(encoding="utf-8")
    required = {name for name, option in options(role).items() if option.get("required")}
    assert set(re.findall(r"^# (\w+):", text, re.MULTILINE)) == required
    assert not [name for name in required if "default" in options(role)[name]]


@pytest.mark.parametrize("role", ROLES)
def test_readme_lists_every_variable_with_its_default(role: str) -> None:
    table = rows(role)
    assert list(table) == list(options(role))
    for name, option in options(role).items():
        if option.get("required"):
            assert table[name] == "required"
        else:
            assert table[name] == f"`{as_text(option['default'])}`", name


def as_text(value: object) -> str:
    """A default as README writes it: YAML on one line; a pipe would end the table's cell."""
    if value == "":
        return '""'
    text = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True, width=1000)
    return text.removesuffix("\n...\n").strip().replace("|", r"\|")


@pytest.mark.parametrize("role", ROLES)
def test_options_are_described_and_typed(role: str) -> None:
    for name, option in options(role).items():
        assert option.get("type"), name
        assert option.get("description"), name
        assert option["type"] != "list" or option.get("elements"), name


@pytest.mark.parametrize("role", ROLES)
def test_secrets_may_come_from_an_inline_vault(role: str) -> None:
    """With no_log in its specs ansible-core before 2.19 refuses them; tests/integration/test_vault.py has it do so."""
    assert not [name for name, option in options(role).items() if "no_log" in option]


@pytest.mark.parametrize("role", ROLES)
def test_public_variables_carry_the_role_or_the_project_in_their_name(role: str) -> None:
    for name in options(role):
        assert name.startswith((f"{role}_", "edgetally_")), name


def test_the_example_inventory_sets_every_required_variable() -> None:
    set_by_example: set[str] = set()
    for path in (ROOT / "inventory.example" / "group_vars").glob("*.yml"):
        set_by_example |= set(yaml.safe_load(path.read_text(encoding="utf-8")))
    required = {name for role in ROLES for name, option in options(role).items() if option.get("required")}
    assert required <= set_by_example


def test_the_program_understands_the_example_inventory() -> None:
    """What a user copies must work: every format of the example parses, and so do its channel rules."""
    example = ROOT / "inventory.example" / "group_vars"
    for path in sorted(example.glob("*_edges.yml")):
        for log in yaml.safe_load(path.read_text(encoding="utf-8"))["edge_shipper_logs"]:
            assert parse_format(log["format"], log["server"]).bytes_meaning == "wire", path.name
    ChannelMap(yaml.safe_load((example / "edges.yml").read_text(encoding="utf-8"))["edgetally_channels"])
    contracts.parse(
        yaml.safe_load((example / "aggregator.yml").read_text(encoding="utf-8"))["edgetally_contracts"], "x"
    )


def test_the_role_installs_the_formats_that_the_program_recommends() -> None:
    servers = read("edge_shipper", "vars/main.yml")["__edge_shipper_servers"]
    assert {name: server["install"]["format"] for name, server in servers.items()} == {
        name: PASTED[name][1] for name in servers
    }
    for name, server in servers.items():
        installed = parse_format(server["install"]["format"], name)
        assert installed.bytes_meaning == "wire", name
        assert (installed.has_host, installed.has_duration) == (True, True), name


def test_readme_lists_the_keys_of_a_log_that_preflight_allows() -> None:
    text = (ROOT / "roles/edge_shipper/README.md").read_text(encoding="utf-8")
    table = text.partition("| key | default |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(KEYS)


def test_the_programs_path_is_written_once() -> None:
    """edgetally_bin: whoever moves the program changes one variable."""
    files = [
        path
        for folder in ("roles", "playbooks")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".yml", ".j2")
    ]
    named = {
        path.relative_to(ROOT).as_posix() for path in files if "/usr/local/bin/edgetally" in path.read_text("utf-8")
    }
    assert named == {"roles/edgetally/defaults/main.yml", "roles/edgetally/meta/argument_specs.yml"}


def tasks(node: Any) -> Iterator[dict[str, Any]]:
    """Every task and block of a file."""
    for item in node if isinstance(node, list) else ():
        if isinstance(item, dict):
            yield item
            for inner in ("tasks", "block", "rescue", "always"):
                yield from tasks(item.get(inner))


def test_no_secret_is_in_a_command_line() -> None:
    """An environment stands in the command line of the shell that sets it: `ps` shows it, and so does -vvv."""
    for path in (ROOT / "roles").glob("*/tasks/*.yml"):
        for task in tasks(yaml.safe_load(path.read_text(encoding="utf-8"))):
            shown = json.dumps(task.get("environment", "")) + json.dumps(
                [task.get(f"ansible.builtin.{module}") for module in ("shell", "raw")]
            )
            assert not re.search(r"password|master_key", shown, re.IGNORECASE), (path, task["name"])
            command = task.get("ansible.builtin.command") or {}
            assert not re.search(r"_password\b|_options\b", str(command.get("stdin"))) or task["no_log"], task["name"]


def test_an_old_gearmand_is_told_of_libevents_functions() -> None:
    """Its configure looks for them with -R, which the gcc of Debian 11 and 13 refuses: the build would never start."""
    told = read("gearmand", "vars/main.yml")["__gearmand_configure_old"]
    assert [f"ac_cv_func_event_base_{name}=yes" for name in ("new", "free", "get_method")] == told[:3]
