#!/usr/bin/python3
"""The lab: real Debian hosts (systemd, cron, ssh, addresses of their own) as podman containers on this machine.

bin/lab, bin/demo and molecule's create and destroy all come through here. A lab has a name, a network 10.99.N.0/24,
containers `edgetally-<lab>-<host>`, and a folder in the cache with its inventory, its known_hosts and `lab.json`, which
says all of it to programs. Only Debian's python3 is needed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import fcntl
import hashlib
import ipaddress
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgetally"
LABS = CACHE / "lab"
KEY = LABS / "id_ed25519"
RUN = Path("/run/edgetally-lab")
PREFIX = "edgetally-"
IMAGE = "localhost/edgetally-host"
DEFAULT_LAB = "demo"
DEFAULT_SUITE = "bookworm"
BOOT_SECONDS = 90
PODMAN_SECONDS = 300
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_OF_A_HOST = 5  # of root's, all of its systemd
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


class LabError(Exception):
    """One sentence: what failed, where, and how to mend it."""


@dataclasses.dataclass(frozen=True)
class Host:
    """One host of a lab; address is the last byte of its IPv4 address."""

    name: str
    address: int
    groups: tuple[str, ...]
    suite: str = DEFAULT_SUITE


@dataclasses.dataclass(frozen=True)
class Lab:
    """A lab by name, with its subnet, for example 10.99.7.0/24; network is podman's name for it, or empty."""

    name: str
    subnet: ipaddress.IPv4Network
    network: str = ""

    @property
    def folder(self) -> Path:
        return LABS / self.name

    def container(self, host: str) -> str:
        return f"{PREFIX}{self.name}-{host}"

    def ip(self, host: Host) -> str:
        return str(self.subnet[host.address])


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


def run(command: Sequence[str | Path], seconds: float = PODMAN_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it said; a command that hangs is a LabError."""
    try:
        return subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"`{' '.join(map(str, command[:3]))} …` did not end within {seconds:.0f} seconds") from None


def podman(*words: str | Path, seconds: float = PODMAN_SECONDS) -> str:
    """Run podman and return its standard output; a failure is a LabError with podman's own last words."""
    result = run([HERE / "podman", *words], seconds)
    if result.returncode:
        raise LabError(f"podman {words[0]} failed: {last_words(result)}")
    return result.stdout


def last_words(result: subprocess.CompletedProcess[str]) -> str:
    """Return the last line that a failed program wrote to standard error."""
    lines = result.stderr.strip().splitlines()
    return lines[-1].removeprefix("Error: ") if lines else f"exit code {result.returncode}"


def podman_json(*words: str) -> list[Any]:
    """Run podman and read the JSON list that it prints."""
    answer = json.loads(podman(*words, "--format", "json") or "[]")
    return answer if isinstance(answer, list) else []


@contextmanager
def machine_lock() -> Iterator[None]:
    """Only one `up` or `down` at a time on this machine: they share addresses, the image and podman's namespace."""
    with open("/run/edgetally-lab.up.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another lab is being set up or taken down, waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_machine() -> None:
    """Raise LabError where the lab cannot even be tried."""
    if os.geteuid() != 0:
        raise LabError("the lab's hosts need root: run this as root")
    missing = [tool for tool in ("podman", "runc", "debootstrap", "zstd", "ssh", "ip") if not shutil.which(tool)]
    if missing:
        raise LabError(f"not installed: {', '.join(missing)}; tests/setup installs what is needed")


def check_room(hosts: int, limit: Path = INOTIFY) -> None:
    """Raise LabError where the systemds of so many hosts would watch more than this machine lets root."""
    needed = hosts * INOTIFY_OF_A_HOST
    if needed > int(limit.read_text(encoding="utf-8")):
        mend = f"sysctl fs.inotify.max_user_instances={2 * needed}"
        raise LabError(f"{hosts} hosts watch more than this machine lets root: they boot after `{mend}`")


def incapable(reason: LabError) -> LabError:
    """Return the error of a machine that cannot run containers."""
    return LabError(f"this machine cannot run the lab's containers ({reason}); `bin/demo --local` does without them")


def check_podman() -> None:
    """Raise LabError where podman does not work at all, before anything is built for it."""
    try:
        podman("info")
    except LabError as error:
        raise incapable(error) from None


# Definitions and state


def read_hosts(path: Path, suite: str | None) -> list[Host]:
    """Read a list of host definitions, such as hosts.json; suite overrides the suite of all of them."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [
            Host(
                entry["name"], int(entry["address"]), tuple(entry["groups"]), suite or entry.get("suite", DEFAULT_SUITE)
            )
            for entry in entries
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(f"{path} is not a JSON list of hosts with name, address and groups: {error!r}") from None


def choose(hosts: list[Host], only: str | None) -> list[Host]:
    """Return the hosts named in `only`, a list with commas; all of them when it is None."""
    if only is None:
        return hosts
    names = only.split(",")
    unknown = sorted(set(names) - {host.name for host in hosts})
    if unknown:
        raise LabError(f"no such host: {', '.join(unknown)}; there are {', '.join(host.name for host in hosts)}")
    return [host for host in hosts if host.name in names]


def check_name(name: str) -> str:
    """Return name if it can name a lab."""
    if not NAME.fullmatch(name):
        raise LabError(f"{name!r} cannot name a lab: use small letters, digits, hyphens and underscores")
    return name


def containers(lab_name: str | None = None) -> dict[str, dict[str, Any]]:
    """Return podman's entries of this lab's containers, or of all labs', by container name."""
    label = "edgetally.lab" if lab_name is None else f"edgetally.lab={lab_name}"
    return {entry["Names"][0]: entry for entry in podman_json("ps", "--all", "--filter", f"label={label}")}


def networks() -> dict[str, dict[str, Any]]:
    """Return podman's networks by name."""
    return {entry["name"]: entry for entry in podman_json("network", "ls")}


def find_lab(name: str) -> Lab:
    """Return the lab as it stands, or with the first free subnet when it does not stand.

    The demo's network is always 10.99.7.0/24, so that what the documentation shows is what one sees.
    """
    demo = ipaddress.IPv4Network("10.99.7.0/24")
    taken = networks()
    for network, entry in taken.items():
        if (entry.get("labels") or {}).get("edgetally.lab") == name:
            subnet = demo if name == DEFAULT_LAB else ipaddress.IPv4Network(entry["subnets"][0]["subnet"])
            return Lab(name, subnet, network)
    if name == DEFAULT_LAB:
        return Lab(name, demo)
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout or "[]")
    used = [route["dst"] for route in routes if route.get("dst", "default") != "default"]
    used += [subnet["subnet"] for entry in taken.values() for subnet in entry.get("subnets") or []]
    for number in range(8, 100):
        subnet = ipaddress.IPv4Network(f"10.99.{number}.0/24")
        if not any(subnet.overlaps(ipaddress.IPv4Network(other, strict=False)) for other in used if ":" not in other):
            return Lab(name, subnet)
    raise LabError("no free network between 10.99.8.0/24 and 10.99.99.0/24: take a lab down, `bin/lab list` shows them")


# Image


def image_name(suite: str) -> str:
    """Return the image's name for a suite; its tag holds a hash of what the image is made from."""
    recipe = hashlib.sha256((HERE / "build-image").read_bytes() + (HERE / "packages").read_bytes()).hexdigest()
    return f"{IMAGE}:{suite}-{recipe[:12]}"


def ensure_image(suite: str) -> str:
    """Return the name of the suite's image, which is in podman, or comes from the cached tarball, or is built."""
    image = image_name(suite)
    if run([HERE / "podman", "image", "exists", image]).returncode == 0:
        return image
    tarball = CACHE / f"image-{image.partition(':')[2]}.tar.zst"
    if not tarball.exists():
        say(f"building the image for {suite}, this takes one to three minutes and is cached in {CACHE}")
        CACHE.mkdir(parents=True, exist_ok=True)
        if subprocess.run([HERE / "build-image", suite, tarball], check=False).returncode:
            raise LabError(f"the image for {suite} could not be built, the reason is above")
    import_image(tarball, image)
    remove_old_images(suite, image, tarball)
    return image


def import_image(tarball: Path, image: str) -> None:
    """Make podman's image from the tarball; a damaged tarball is deleted."""
    say(f"importing {tarball.name}")
    command: list[str | Path] = [HERE / "podman", "import", "--quiet", "-c", 'CMD ["/sbin/init"]']
    command += ["-c", "STOPSIGNAL SIGRTMIN+3", "-", image]
    with subprocess.Popen(["zstd", "-dc", tarball], stdout=subprocess.PIPE) as unpack:
        done = subprocess.run(command, stdin=unpack.stdout, capture_output=True, text=True, check=False)
    if unpack.returncode > 0:  # below 0 is the signal that podman's end sends
        tarball.unlink()
        raise LabError(f"{tarball} is damaged and deleted now: try again and it is built anew")
    if done.returncode:
        raise LabError(f"{tarball} could not be imported: {last_words(done)}")


def remove_old_images(suite: str, image: str, tarball: Path) -> None:
    """Delete the suite's images of older recipes, as far as no host uses them."""
    for old in CACHE.glob(f"image-{suite}-*.tar.zst"):
        if old != tarball:
            old.unlink()
    for entry in podman_json("image", "ls", "--filter", f"reference={IMAGE}:{suite}-*"):
        for name in entry.get("Names") or []:
            if name != image:
                run([HERE / "podman", "image", "rm", name])


# Up


def ensure_key() -> None:
    """Make the key pair with which this machine enters its labs' hosts."""
    LABS.mkdir(parents=True, exist_ok=True, mode=0o700)
    if KEY.exists() and KEY.with_suffix(".pub").exists():
        return
    KEY.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "edgetally-lab", "-f", KEY])


def remove_stale_bridge(lab: Lab) -> None:
    """Delete a bridge that still holds the lab's gateway address though podman knows no such network any more."""
    gateway = str(lab.subnet[1])
    for link in json.loads(run(["ip", "-json", "-4", "address", "show", "type", "bridge"]).stdout or "[]"):
        if any(address.get("local") == gateway for address in link.get("addr_info", [])):
            say(f"removing the left-over bridge {link['ifname']} with {gateway}")
            run(["ip", "link", "delete", link["ifname"]])


def make_network(lab: Lab) -> Lab:
    """Make the lab's network in place of the one it has; return the lab with it.

    The name is new each time: under an old one podman remembers the addresses that killed hosts held, for ever.
    """
    remove_network(lab)
    network = f"{PREFIX}{lab.name}-{secrets.token_hex(3)}"
    settings = ["--subnet", str(lab.subnet), "--disable-dns", "--opt", "mtu=1400"]
    podman("network", "create", *settings, "--label", f"edgetally.lab={lab.name}", network)
    return dataclasses.replace(lab, network=network)


def remove_network(lab: Lab) -> None:
    """Remove the lab's network, and its bridge if a killed run left that behind."""
    if lab.network:
        podman("network", "rm", "--force", "--time", "0", lab.network)
    remove_stale_bridge(lab)


def name_servers() -> list[str]:
    """Return the machine's own name servers; none when they answer on loopback only: podman then knows better."""
    lines = Path("/etc/resolv.conf").read_text(encoding="utf-8").splitlines()
    servers = [line.split()[1] for line in lines if line.startswith("nameserver ")]
    return [server for server in servers if not server.startswith("127.") and server != "::1"]


def start(lab: Lab, host: Host, peers: Sequence[Host], image: str) -> None:
    """Start one host's container; its name is free."""
    container = lab.container(host.name)
    command: list[str | Path] = ["run", "--detach", "--name", container, "--hostname", host.name]
    command += ["--label", f"edgetally.lab={lab.name}", "--label", f"edgetally.host={host.name}"]
    command += ["--network", lab.network, "--ip", lab.ip(host), "--systemd=always"]
    # as on a real host: units set up namespaces, tests set nftables rules, and root may take a lease on any file
    command += ["--cap-add", "SYS_ADMIN,NET_ADMIN,LEASE", "--security-opt", "unmask=/proc/sys"]
    command += ["--volume", f"{KEY}.pub:/root/.ssh/authorized_keys:ro"]
    command += [word for peer in peers if peer != host for word in ("--add-host", f"{peer.name}:{lab.ip(peer)}")]
    command += [word for server in name_servers() for word in ("--dns", server)]
    podman(*command, image)


def replace(
    lab: Lab, todo: Sequence[Host], keep: Sequence[Host], peers: Sequence[Host], images: dict[str, str]
) -> None:
    """Start the hosts in `todo` in place of whatever has their names; if an address is stuck, those in `keep` too."""
    say(f"{lab.name}: booting {', '.join(host.name for host in todo)} on {lab.subnet}")
    remove_hosts(lab, [lab.container(host.name) for host in todo])
    forget_connections(lab)
    if not keep:
        lab = make_network(lab)
    try:
        for host in todo:
            start(lab, host, peers, images[host.suite])
    except LabError as error:
        if keep and "already allocated" in str(error):
            say(f"an address is held by a host that is gone, so {', '.join(host.name for host in keep)} boot anew too")
            replace(lab, [*todo, *keep], [], peers, images)
            return
        raise incapable(error) from None


def remove_hosts(lab: Lab, names: Sequence[str]) -> None:
    """Remove containers of the lab, also those that podman has lost sight of."""
    there = containers(lab.name)
    for container in names:
        if there.get(container, {}).get("State") not in ("running", "paused", "stopping"):
            end_orphan(container)
    if not names:
        return
    remove = ("rm", "--force", "--time", "0", "--volumes", "--ignore", *names)
    try:
        podman(*remove)
    except LabError:
        podman(*remove)  # the first attempt stumbles over a container whose monitor was killed, and clears it


def end_orphan(container: str) -> None:
    """Kill a host that podman has forgotten: its monitor still runs under the container's exact name.

    That is left when podman's namespace was lost while hosts were running; it would answer on the new host's address.
    """
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            children = (entry / "task" / entry.name / "children").read_text().split()
        except OSError:
            continue  # it has ended meanwhile
        if Path(os.fsdecode(words[0])).name == "conmon" and container.encode() in words:
            say(f"ending the left-over process of {container}")
            for process in [*children, entry.name]:
                os.kill(int(process), signal.SIGKILL)


def healthy(lab: Lab, host: Host, entry: dict[str, Any] | None, image: str) -> bool:
    """Tell whether a host runs from the present image and can be entered."""
    if entry is None or entry["State"] != "running" or entry["Image"] != image:
        return False
    return run([*ssh_command(lab, lab.ip(host)), "true"], 10).returncode == 0


def wait_for(lab: Lab, host: Host) -> str:
    """Wait until the host has booted and ssh answers; return its line for known_hosts.

    The key is read through podman, not from the network: so the first contact is already a checked one.
    """
    container, address = lab.container(host.name), lab.ip(host)
    deadline = time.monotonic() + BOOT_SECONDS
    while True:
        boot = run([HERE / "podman", "exec", container, "systemctl", "is-system-running", "--wait"], BOOT_SECONDS)
        state = boot.stdout.strip()
        if state in ("running", "degraded"):
            break
        # In its first moments systemd does not even answer that it is starting
        if time.monotonic() > deadline:
            raise LabError(f"{host.name} did not boot: systemd says {state or boot.stderr.strip()!r}")
        time.sleep(0.1)
    if state == "degraded":
        units = podman("exec", container, "systemctl", "list-units", "--failed", "--plain", "--no-legend")
        say(f"{host.name}: failed unit {'; '.join(line.split()[0] for line in units.splitlines())}")
    key = podman("exec", container, "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()
    return f"{address},{host.name} {key[0]} {key[1]}\n"


def wait_for_ssh(lab: Lab, host: Host) -> None:
    """Wait until the host can be entered."""
    deadline = time.monotonic() + BOOT_SECONDS
    while True:
        answer = run([*ssh_command(lab, lab.ip(host)), "true"], BOOT_SECONDS)
        if answer.returncode == 0:
            return
        if time.monotonic() > deadline:
            raise LabError(f"{host.name} at {lab.ip(host)} cannot be entered: {answer.stderr.strip()}")
        time.sleep(0.2)


def ssh_command(lab: Lab, address: str) -> list[str]:
    """Return the ssh command line for an address of the lab; nothing of the user's own ssh settings plays a part."""
    return ["ssh", "-F", "none", "-i", str(KEY), *ssh_options(lab), "-o", "ConnectTimeout=5", f"root@{address}"]


def ssh_options(lab: Lab) -> list[str]:
    """Return the options that bin/lab and Ansible share; a dead host is noticed after 15 seconds."""
    settings = [f"UserKnownHostsFile={lab.folder / 'known_hosts'}", "GlobalKnownHostsFile=/dev/null"]
    settings += ["StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "BatchMode=yes"]
    settings += ["ServerAliveInterval=5", "ServerAliveCountMax=3", "LogLevel=ERROR"]
    return [word for setting in settings for word in ("-o", setting)]


def write_state(lab: Lab, hosts: Sequence[Host]) -> None:
    """Write the lab's lab.json and its inventory: hosts.yml and a link to tests/lab/group_vars."""
    inventory = lab.folder / "inventory"
    inventory.mkdir(parents=True, exist_ok=True)
    described = [
        {"name": host.name, "ip": lab.ip(host), "groups": host.groups, "container": lab.container(host.name)}
        for host in hosts
    ]
    state = {"name": lab.name, "subnet": str(lab.subnet), "user": "root", "port": 22, "key": str(KEY)}
    state.update(known_hosts=str(lab.folder / "known_hosts"), ssh_args=" ".join(ssh_options(lab)))
    state.update(control_path_dir=str(RUN / f"ssh-{lab.name}"), inventory=str(inventory), hosts=described)
    (lab.folder / "lab.json").write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")

    lines = ["---", f"# Written by bin/lab up {lab.name}.", "all:", "  vars:", "    ansible_user: root"]
    lines += [f"    ansible_ssh_private_key_file: {KEY}", f"    ansible_ssh_common_args: -F none {state['ssh_args']}"]
    lines += [f"    ansible_control_path_dir: {state['control_path_dir']}", "  children:"]
    for group in sorted({group for host in hosts for group in host.groups}):
        lines += [f"    {group}:", "      hosts:"]
        lines += [f"        {host.name}: {{ansible_host: {lab.ip(host)}}}" for host in hosts if group in host.groups]
    (inventory / "hosts.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    link = inventory / "group_vars"
    link.unlink(missing_ok=True)
    link.symlink_to(HERE / "group_vars")


def forget_connections(lab: Lab) -> None:
    """Drop Ansible's open connections to hosts that are gone: a new host with the same address would hang on them."""
    shutil.rmtree(RUN / f"ssh-{lab.name}", ignore_errors=True)


def up(name: str, hosts: list[Host], only: str | None, fresh: bool) -> None:
    """Boot the lab's hosts (those in `only`), keeping those that run and answer unless `fresh`; write the inventory."""
    begun = time.monotonic()
    wanted = choose(hosts, only)
    check_podman()
    ensure_key()
    images = {suite: ensure_image(suite) for suite in sorted({host.suite for host in hosts})}
    lab = find_lab(name)
    lab.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    there = containers(name)
    keep = [
        host
        for host in hosts
        if not (fresh and host in wanted)
        and healthy(lab, host, there.get(lab.container(host.name)), images[host.suite])
    ]
    todo = [host for host in wanted if host not in keep]
    check_room(len({*containers(), *(lab.container(host.name) for host in wanted)}))
    if todo:
        replace(lab, todo, keep, hosts, images)
    standing = [host for host in hosts if host in keep or host in todo]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        known = list(pool.map(lambda host: wait_for(lab, host), standing))
        (lab.folder / "known_hosts").write_text("".join(known), encoding="utf-8")
        list(pool.map(lambda host: wait_for_ssh(lab, host), standing))
    write_state(lab, standing)
    say(f"{name}: {len(standing)} hosts are up after {time.monotonic() - begun:.0f} s")
    print(lab.folder / "inventory")


# Down, list, ssh


def recorded_hosts(lab: Lab) -> list[str]:
    """Return the names of the hosts that the lab had when it was last set up."""
    try:
        return [entry["name"] for entry in json.loads((lab.folder / "lab.json").read_text(encoding="utf-8"))["hosts"]]
    except (OSError, ValueError, KeyError):
        return [host.name for host in read_hosts(HERE / "hosts.json", None)]


def down(name: str) -> None:
    """Remove the lab's hosts, network and folder; a lab that does not stand is fine."""
    lab = find_lab(name)
    names = sorted({*containers(name), *(lab.container(host) for host in recorded_hosts(lab))})
    remove_hosts(lab, names)
    remove_network(lab)
    forget_connections(lab)
    shutil.rmtree(lab.folder, ignore_errors=True)
    say(f"{name}: removed {len(names)} hosts")


def leave_machine() -> None:
    """When no lab stands any more, give up podman's namespace too; only the cache stays."""
    if containers() or any(network.startswith(PREFIX) for network in networks()):
        return
    if os.path.ismount(RUN):
        run(["umount", "--recursive", RUN])
    shutil.rmtree(RUN, ignore_errors=True)


def purge() -> None:
    """Delete the images and the cached tarballs and keys."""
    for entry in podman_json("image", "ls", "--filter", f"reference={IMAGE}"):
        podman("image", "rm", "--force", entry["Id"])
    for tarball in CACHE.glob("image-*.tar.zst"):
        tarball.unlink()
    shutil.rmtree(LABS, ignore_errors=True)
    say("images and keys deleted")


def show() -> None:
    """Print every lab's hosts as a table."""
    rows = [("LAB", "HOST", "ADDRESS", "STATE", "CONTAINER")]
    for name, entry in sorted(containers().items()):
        labels = entry["Labels"]
        rows.append((labels["edgetally.lab"], labels["edgetally.host"], address_of(name), entry["State"], name))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def address_of(container: str) -> str:
    """Return the address of a container, `-` when it is on no network, or half removed by a run that was killed."""
    try:
        settings = podman_json("inspect", container)[0]["NetworkSettings"]["Networks"]
    except LabError:
        return "-"
    return next((network["IPAddress"] for network in settings.values() if network["IPAddress"]), "-")


def enter(target: str, command: Sequence[str]) -> None:
    """Become ssh into `[LAB/]HOST`."""
    name, _, host = target.rpartition("/")
    name = name or DEFAULT_LAB
    try:
        state = json.loads((LABS / name / "lab.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LabError(f"there is no lab {name}: `bin/lab up {name}` makes it, `bin/lab list` shows all") from None
    address = next((entry["ip"] for entry in state["hosts"] if entry["name"] == host), None)
    if address is None:
        raise LabError(f"lab {name} has no host {host}; it has {', '.join(e['name'] for e in state['hosts'])}")
    line = ssh_command(Lab(name, ipaddress.IPv4Network(state["subnet"])), address)
    os.execvp(line[0], [*line, *command])


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(prog="bin/lab", description="Real Debian hosts as containers on this machine.")
    commands = top.add_subparsers(dest="command", required=True)
    boot = commands.add_parser("up", help="boot a lab's hosts; hosts that run already are kept")
    boot.add_argument("lab", nargs="?", default=DEFAULT_LAB, help="the lab's name (default: %(default)s)")
    boot.add_argument("--only", metavar="HOST,…", help="boot only these hosts")
    boot.add_argument("--fresh", action="store_true", help="replace hosts that run already")
    boot.add_argument("--hosts", type=Path, default=HERE / "hosts.json", help="JSON list of the lab's hosts")
    boot.add_argument("--suite", help=f"Debian release of the hosts (default: {DEFAULT_SUITE})")
    end = commands.add_parser("down", help="remove a lab: hosts, network, inventory")
    end.add_argument("lab", nargs="?", help=f"the lab's name (default: {DEFAULT_LAB})")
    end.add_argument("--all", action="store_true", help="remove every lab")
    end.add_argument("--purge", action="store_true", help="remove every lab, and the cached images and keys")
    commands.add_parser("list", help="show every lab's hosts")
    shell = commands.add_parser("ssh", help="enter a host, or run a command there")
    shell.add_argument("host", metavar="[LAB/]HOST")
    shell.add_argument("remote", nargs=argparse.REMAINDER, metavar="COMMAND")
    return top


def main() -> int:
    """Do what the command line says; return the exit code."""
    options = parser().parse_args()
    try:
        check_machine()
        if options.command == "up":
            with machine_lock():
                hosts = read_hosts(options.hosts, options.suite)
                up(check_name(options.lab), hosts, options.only, options.fresh)
        elif options.command == "down":
            with machine_lock():
                every = options.all or options.purge
                standing = sorted({entry["Labels"]["edgetally.lab"] for entry in containers().values()})
                for name in standing if every else [check_name(options.lab or DEFAULT_LAB)]:
                    down(name)
                if options.purge:
                    purge()
                leave_machine()
        elif options.command == "list":
            show()
        else:
            enter(options.host, options.remote)
    except LabError as error:
        print(f"bin/lab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bin/lab: interrupted; `bin/lab up` goes on from here, `bin/lab down` clears up", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
