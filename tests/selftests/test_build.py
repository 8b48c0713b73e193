"""What bin/build makes: the same bytes each time, a version that can be traced, pages and completions that work."""

from __future__ import annotations

import gzip
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.support import ROOT
from tests.support.build import build, copy_of_the_repository

DEB = "dist/edgetally_0.1.0_all.deb"
COLLECTION = "dist/edgetally-edgetally-0.1.0.tar.gz"
PROGRAM = "dist/edgetally.pyz"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which all is built."""
    root = copy_of_the_repository(tmp_path_factory.mktemp("build") / "copy")
    build(root, "--collection", "--deb")
    return root


def said(*command: str | Path) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_second_build_has_the_same_bytes(built: Path, tmp_path: Path) -> None:
    """In another folder and at another time."""
    other = copy_of_the_repository(tmp_path / "elsewhere")
    build(other, "--collection", "--deb")
    for name in (PROGRAM, DEB, COLLECTION):
        assert (other / name).read_bytes() == (built / name).read_bytes(), name


def test_the_version_tells_the_commit(tmp_path: Path) -> None:
    root = copy_of_the_repository(tmp_path / "copy")
    build(root)
    assert said(root / PROGRAM, "--version") == "edgetally 0.1.0\n"

    git = ["git", "-C", str(root), "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "All"]):
        subprocess.run([*git, *command], check=True)
    commit = said(*git, "rev-parse", "--short=12", "HEAD").strip()
    build(root)
    assert said(root / PROGRAM, "--version") == f"edgetally 0.1.0, commit {commit}\n"

    (root / "README.md").write_text("Nothing that the program is made of.\n")
    build(root)
    assert said(root / PROGRAM, "--version") == f"edgetally 0.1.0, commit {commit}\n"
    with (root / "src/edgetally/table.py").open("a") as file:
        file.write("# changed\n")
    build(root)
    assert said(root / PROGRAM, "--version") == f"edgetally 0.1.0, commit {commit}+\n"


def test_the_package_installs_the_program_with_its_manual(built: Path, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "--extract", built / DEB, tmp_path], check=True)
    assert said(tmp_path / "usr/bin/edgetally", "--version") == "edgetally 0.1.0\n"
    assert b".TH EDGETALLY" in gzip.decompress((tmp_path / "usr/share/man/man1/edgetally.1.gz").read_bytes())
    assert (tmp_path / "usr/share/bash-completion/completions/edgetally").is_file()
    assert (tmp_path / "usr/share/zsh/vendor-completions/_edgetally").is_file()
    fields = said("dpkg-deb", "--field", built / DEB, "Version", "Depends", "Architecture")
    assert fields == "Version: 0.1.0\nDepends: python3 (>= 3.9)\nArchitecture: all\n"
    owners = {line.split()[1] for line in said("dpkg-deb", "--contents", built / DEB).splitlines()}
    assert owners == {"root/root"}


def test_lintian_has_nothing_to_say_of_the_package(built: Path) -> None:
    """But for what the package overrides, each with its reason."""
    done = subprocess.run(["lintian", built / DEB], stdout=subprocess.PIPE, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_manual_page_has_every_command_and_option(built: Path) -> None:
    with zipfile.ZipFile(built / PROGRAM) as pyz:
        page = pyz.read("edgetally/share/man/man1/edgetally.1").decode().replace("\\-", "-")
    helped = said(built / PROGRAM, "--help")
    commands = re.findall(r"^    (\w+) ", helped, re.MULTILINE)
    assert "report" in commands
    for command in commands:
        assert f"edgetally {command}" in page
        options = set(re.findall(r"--[a-z-]+", said(built / PROGRAM, command, "--help"))) - {"--help"}
        assert not [option for option in options if option not in page], command
    assert ".SH EXIT STATUS" in page


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("edgetally sta", {"status"}),
        ("edgetally report --mon", {"--month"}),
        ("edgetally report --output ", {"table", "csv", "json", "html", "pdf", "parquet", "events"}),
        ("edgetally period cl", {"close"}),
    ],
)
def test_bash_completes(built: Path, line: str, words: set[str]) -> None:
    with zipfile.ZipFile(built / PROGRAM) as pyz:
        script = pyz.read("edgetally/share/bash-completion/completions/edgetally").decode()
    typed = line.split(" ")
    asked = f"""
COMP_WORDS=({" ".join(f"'{word}'" for word in typed)}); COMP_CWORD={len(typed) - 1}; COMP_LINE='{line}'
COMP_POINT={len(line)}; COMP_TYPE=9
eval "$(complete -p edgetally | sed 's/.* -F \\([^ ]*\\) .*/\\1/')"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    assert set(said("bash", "-c", script + asked).split()) == words


def test_manual_writes_its_files_once(built: Path, tmp_path: Path) -> None:
    """The roles run it each time, and report a change where it prints something."""
    first = said(built / PROGRAM, "manual", "--install", tmp_path).split()
    assert first == [
        f"{tmp_path}/man/man1/edgetally.1",
        f"{tmp_path}/bash-completion/completions/edgetally",
        f"{tmp_path}/zsh/site-functions/_edgetally",
    ]
    assert said(built / PROGRAM, "manual", "--install", tmp_path) == ""
    Path(first[0]).write_text("older\n")
    assert said(built / PROGRAM, "manual", "--install", tmp_path).split() == first[:1]
    assert {Path(name).stat().st_mode & 0o777 for name in first} == {0o644}
    assert said(built / PROGRAM, "manual", "--remove", tmp_path).split() == first
    assert said(built / PROGRAM, "manual", "--remove", tmp_path) == ""


@pytest.mark.parametrize("option", ["--install", "--remove"])
def test_a_folder_that_is_none(built: Path, option: str) -> None:
    command = [str(built / PROGRAM), "manual", option, "/proc/self/nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if option == "--remove":
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")  # nothing is there to be removed
    else:
        assert done.returncode == 2
        assert done.stderr.startswith("edgetally: /proc/self/nowhere/man/man1/edgetally.1 cannot be changed (")
        assert done.stderr.count("\n") == 1


def test_the_collection_names_the_oldest_ansible_of_the_roles(built: Path) -> None:
    with tarfile.open(built / COLLECTION) as tar:
        runtime = yaml.safe_load(tar.extractfile("meta/runtime.yml") or b"")
        manifest = yaml.safe_load(tar.extractfile("MANIFEST.json") or b"")
    for role in (ROOT / "roles").iterdir():
        oldest = yaml.safe_load((role / "meta/main.yml").read_text())["galaxy_info"]["min_ansible_version"]
        assert runtime == {"requires_ansible": f">={oldest}"}, role.name
    assert manifest["collection_info"]["version"] == "0.1.0"


def test_pyproject_allows_what_the_program_is_built_with() -> None:
    """A wheel asks for ranges, the program holds pinned versions; each pin lies in its range."""
    project = (ROOT / "pyproject.toml").read_text()
    listed = re.findall(
        r'^    "([^"]+)",', project.partition("\ndependencies = [")[2].partition("\n]")[0], re.MULTILINE
    )
    ranges = {one.name.lower().replace("-", "_"): one.specifier for one in map(Requirement, listed)}
    pins = re.findall(r"^([\w-]+)==(.+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert ranges.keys() == {name.lower().replace("-", "_") for name, _ in pins} - {"markupsafe"}
    for name, pin in pins:
        if name != "MarkupSafe":
            allowed = ranges[name.lower().replace("-", "_")]
            assert pin in allowed, name
            assert not any(one.operator in ("==", "===") for one in allowed), name
