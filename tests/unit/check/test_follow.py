"""Configurations of several files: formats that one defines and another uses, includes, variables, what is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgetally.check import follow
from edgetally.check.follow import MOST_FILES
from edgetally.check.servers.source import MOST_BYTES
from edgetally.cli.main import main

NGINX = """events {}
http {
    log_format cdn '$msec $request_time $status $request_length $host "$request"';
    log_format unused '$remote_addr';
    include sites/*.conf;
}
"""
VHOST = "server {\n    listen 80;\n    access_log /var/log/nginx/video.log cdn;\n}\n"


def check(capsys: pytest.CaptureFixture[str], *files: Path) -> list[tuple[str, str, str]]:
    """(code, place, what) of the findings of some files; a place is the file's name and the line."""
    assert main(["check", "--output", "json", *map(str, files)]) in (0, 1)
    found = json.loads(capsys.readouterr().out)["findings"]
    return sorted((one["code"], one["where"].rpartition("/")[2], one["what"]) for one in found)


def write(folder: Path, **files: str) -> list[Path]:
    """Files of a folder by name, with _ for a dot and __ for a folder."""
    paths = [folder / name.replace("__", "/").replace("_", ".") for name in files]
    for path, text in zip(paths, files.values()):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return paths


def test_a_format_is_found_in_another_file_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = write(tmp_path, nginx_conf=NGINX.replace("    include sites/*.conf;\n", ""), vhost_conf=VHOST)
    for order in (paths, paths[::-1]):
        found = check(capsys, *order)
        assert [code for code, _, _ in found] == ["received_bytes"]
        assert found[0][1] == "nginx.conf:3"
        assert f"in the format that {paths[1]}:3 uses" in found[0][2]


def test_an_include_is_followed_in_the_files_own_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = write(tmp_path, nginx_conf=NGINX, sites__video_conf=VHOST)
    assert [(code, place) for code, place, _ in check(capsys, path)] == [("received_bytes", "nginx.conf:3")]
    path.write_text(NGINX.replace("sites/*.conf", f"{tmp_path}/sites/*.conf"))
    assert [code for code, _, _ in check(capsys, path)] == ["received_bytes"]


def test_an_include_of_another_folder_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be another host's."""
    (tmp_path / "elsewhere").mkdir()
    path, other = write(tmp_path, conf__nginx_conf=NGINX, elsewhere__video_conf=VHOST)
    path.write_text(NGINX.replace("sites/*.conf", str(other)))
    assert [code for code, _, _ in check(capsys, path)] == ["include", "received_bytes"]


def test_includes_in_a_circle_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = write(tmp_path, a_conf="http {\ninclude b.conf;\n}\n", b_conf="include a.conf;\ninclude b.conf;\n")
    assert {code for code, _, _ in check(capsys, paths[0])} == {
        "body_bytes",
        "no_host",
        "no_duration",
        "no_cache_status",
    }


def test_stream_is_known_across_an_include(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path, _) = write(
        tmp_path,
        nginx_conf="stream {\n    include stream/*.conf;\n}\n",
        stream__a_conf='log_format s \'$msec "$remote_addr" $bytes_sent "$x"\';\naccess_log /var/log/s.log s;\n',
    )
    assert main(["check", str(path)]) == 1
    said = capsys.readouterr().out
    assert "log $ssl_preread_server_name as well" in said
    assert "log $session_time as well" in said
    assert not {"$host", "$request_time", "$upstream_cache_status"} & set(said.split())


@pytest.mark.parametrize(
    ("main_file", "part"),
    [
        ('LogFormat "%t %D %V %>s %S x" own\nInclude part.conf\n', "CustomLog logs/a own\n"),
        ("logformat own %ts.%03tu %tr %Ss %>st %ru\ninclude part.conf\n", "access_log stdio:/var/log/a own\n"),
    ],
)
def test_apache_and_squid_follow_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], main_file: str, part: str
) -> None:
    path, other = write(tmp_path, main_conf=main_file, part_conf=part)
    for files in ([path], [path, other], [other, path]):
        assert [(code, place) for code, place, _ in check(capsys, *files)] == [("received_bytes", "main.conf:1")]


def test_serverroot_is_where_apaches_names_begin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = write(
        tmp_path,
        conf__httpd_conf=f'ServerRoot "{tmp_path}"\nInclude part/*.conf\n',
        part__a_conf="CustomLog logs/a common\n",
    )
    assert [code for code, _, _ in check(capsys, path)] == ["format_elsewhere"]


def test_a_haproxy_takes_the_format_of_another_files_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write(
        tmp_path,
        a_cfg="defaults\n  mode http\n  option httplog\n",
        b_cfg="frontend web\n  bind 127.0.0.1:80\n  default_backend b\n",
    )
    assert "unreadable_format" in [code for code, _, _ in check(capsys, paths[1])]
    assert "unreadable_format" not in [code for code, _, _ in check(capsys, *paths)]


def test_a_format_of_another_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = write(
        tmp_path,
        formats_yaml="formats:\n- name: own\n  format: '%<cqtq> %<ttms> %<pscl> %<cquuc> %<crc> x'\n",
        logs_yaml="logs:\n- filename: a\n  format: own\n  rolling_enabled: none\n",
    )
    assert ("body_bytes", "formats.yaml:2") in [(code, place) for code, place, _ in check(capsys, *paths)]


def test_a_unit_takes_its_options_from_another_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unit = f"[Service]\nEnvironmentFile=-{tmp_path}/options\nExecStart=/usr/bin/varnishncsa $DAEMON_OPTS\n"
    paths = write(
        tmp_path,
        ncsa_service=unit,
        options='DAEMON_OPTS="-a -D -w /var/log/a.log -F \'%t %D %s %b %{Varnish:handling}x \\"%{Host}i\\"\'"\n',
    )
    for files in (paths[:1], paths):
        assert [(code, place) for code, place, _ in check(capsys, *files)] == [("body_bytes", "ncsa.service:3")]
    paths[1].unlink()
    assert [code for code, _, _ in check(capsys, paths[0])] == ["format_elsewhere"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("example.com {\n\tlog {\n\t\toutput file /var/log/a.log\n\t}\n\tfile_server\n}\n", "of Caddy are not"),
        ("entryPoints:\n  web:\n    address: ':80'\naccessLog: {}\n", "of Traefik are not"),
        ("static_resources:\n  listeners:\n  - name: a\n", "of Envoy are not"),
        ('vcl 4.1;\nbackend default {\n    .host = "192.0.2.1";\n}\n', "of Varnish's VCL are not"),
        ("[server]\n# a comment\nport = 80\nlog = on\n", "it looks like a configuration, of a server"),
        ('{\n  "log": {\n    "path": "/var/log/a"\n  }\n}\n', "it looks like a configuration, of a server"),
        ("log:\n  path: /var/log/a\n  format: combined\n", "it looks like a configuration, of a server"),
    ],
)
def test_a_configuration_that_is_not_looked_at_is_no_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    (path,) = write(tmp_path, file=text)
    ((code, place, what),) = check(capsys, path)
    assert (code, place) == ("not_looked_at", "file")
    assert words in what


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"size":5}\n{"a":2,"size":6}\n',
        "192.0.2.1 something 17\n192.0.2.2 something 18\n",
        "2026-10-10 nonsense: x\n2026-10-10 nonsense: y\n",
        "a|b|c\n",
    ],
)
def test_a_log_of_an_unknown_format_stays_one(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (path,) = write(tmp_path, file=text)
    assert [code for code, _, _ in check(capsys, path)] == ["no_format"]


SQUID_OWN = "logformat own %ts.%03tu %tr %Ss/%03>Hs {} %>a %Sh %rm %.4000ru\n"


@pytest.mark.parametrize("first", ["included", "main"])
def test_squid_takes_the_first_format_of_a_name_in_all_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], first: str
) -> None:
    """The order is that in which it reads them: an include stands where its files do."""
    include, own = "include conf.d/*.conf\n", SQUID_OWN.format("%<st")
    text = include + own if first == "included" else own + include
    paths = write(
        tmp_path,
        squid_conf=text + "access_log stdio:/var/log/a own\n",
        conf_d__a_conf="http_port 3128\n",
        conf_d__b_conf=SQUID_OWN.format("%>st"),
    )
    for files in (paths[:1], paths):
        found = check(capsys, *files)
        redefined = [(place, what) for code, place, what in found if code == "redefined_format"]
        if first == "included":
            assert ("received_bytes", "b.conf:1") in [(code, place) for code, place, _ in found]
            assert redefined == [("squid.conf:2", f"the format 'own' of {paths[2]}, line 1, is defined again")]
        else:
            assert [code for code, _, _ in found] == ["redefined_format"]
            assert redefined == [("b.conf:1", f"the format 'own' of {paths[0]}, line 1, is defined again")]


def test_of_two_files_that_are_named_squid_takes_the_formats_of_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = "access_log stdio:/var/log/a own\n"
    names = ("a_conf", "b_conf", "c_conf")
    paths = write(tmp_path, **dict(zip(names, (SQUID_OWN.format("%<st"), SQUID_OWN.format("%>st"), log))))
    assert [code for code, _, _ in check(capsys, *paths)] == ["redefined_format"]
    assert {code for code, _, _ in check(capsys, paths[1], paths[0], paths[2])} == {
        "redefined_format",
        "received_bytes",
    }


# --- what is not looked at


def test_no_more_than_so_many_files_are_looked_at_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sites = {f"sites__{number:03}_conf": "access_log off;\n" for number in range(MOST_FILES + 2)}
    path, *_ = write(tmp_path, nginx_conf="http {\n    include sites/*.conf;\n}\n", **sites)
    found = check(capsys, path)
    assert [code for code, _, _ in found].count("log_off") == MOST_FILES - 1
    assert [(place, what) for code, place, what in found if code == "include"] == [
        ("nginx.conf:2", "it includes sites/*.conf, of which 3 files are left: 500 files are looked at, and no more")
    ]


@pytest.mark.parametrize("named", [True, False])
def test_of_a_long_file_the_beginning_is_looked_at_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], named: bool
) -> None:
    """It is cut between two lines: half a line would be another one."""
    line = 'set $a "b";\n'
    long = VHOST + "#" * ((MOST_BYTES - len(VHOST) - 10) % len(line)) + "\n" + line * (MOST_BYTES // len(line))
    assert long[:MOST_BYTES].endswith('\nset $a "b')
    path, site = write(tmp_path, nginx_conf=NGINX, sites__a_conf=long)
    found = check(capsys, path, *([site] if named else []))
    assert [place for code, place, _ in found if code == "received_bytes"] == ["nginx.conf:3"]
    assert [(place, what) for code, place, what in found if code == "not_looked_at"] == [
        ("a.conf", "it is longer than 1 MiB, and what stands behind that was not looked at")
    ]


def test_a_file_that_goes_while_it_is_looked_for_is_said(tmp_path: Path) -> None:
    gone = follow._read(str(tmp_path / "gone.conf"))
    assert [finding.what for finding in gone.left] == ["it cannot be read (No such file or directory)"]


def test_a_pattern_without_files_is_nothing_and_one_without_a_folder_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is there on the host, and was not copied with the file."""
    (tmp_path / "sites").mkdir()
    (path,) = write(tmp_path, nginx_conf=NGINX)
    assert "include" not in [code for code, _, _ in check(capsys, path)]
    path.write_text(NGINX.replace("sites/", "gone/"))
    assert ("include", "it includes gone/*.conf") in [(code, what) for code, _, what in check(capsys, path)]


def test_a_serverroot_that_the_file_is_not_in_is_another_hosts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither is one whose name only begins alike."""
    for root in ("elsewhere", "con"):
        path, _ = write(
            tmp_path,
            conf__httpd_conf=f'ServerRoot "{tmp_path}/{root}"\nInclude {tmp_path}/{root}/a.conf\n',
            **{f"{root}__a_conf": "CustomLog logs/a common\n"},
        )
        assert [code for code, _, _ in check(capsys, path)] == ["include"]
