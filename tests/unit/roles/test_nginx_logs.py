"""The role's look at an nginx configuration: a virtual host that it misses is traffic that is not billed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from roles.edge_shipper.filter_plugins.nginx_logs import nginx_left_out, nginx_log_files

LOG = "/var/log/nginx/edgetally"


def dump(http: str, **files: str) -> str:
    """What `nginx -T` prints of an http block, and of files in conf.d."""
    texts = {"nginx": f"events {{}}\nhttp {{\n{http}\ninclude conf.d/*.conf;\n}}\n"}
    main = f"# configuration file /etc/nginx/nginx.conf:\n{texts['nginx']}"
    return main + "".join(
        f"\n# configuration file /etc/nginx/conf.d/{name}.conf:\n{text}" for name, text in files.items()
    )


OURS = f"log_format edgetally '$msec {{;}} #\"';\naccess_log {LOG} edgetally;\n"


@pytest.mark.parametrize(
    ("http", "shop", "left_out"),
    [
        ("access_log /x;", "server { listen 80; }", []),
        ("", "server {\n access_log /y combined;\n}", ["/etc/nginx/conf.d/shop.conf:2"]),
        ("", f"server {{ access_log /y; access_log {LOG} edgetally; }}", []),
        ("", f"server {{ access_log /y; access_log '{LOG}' edgetally buffer=4k; }}", []),
        ("", f"server {{ access_log {LOG} combined; }}", ["/etc/nginx/conf.d/shop.conf:1"]),
        ("", "server { location /a { access_log /y; } }", ["/etc/nginx/conf.d/shop.conf:1"]),
        ("", "server { location = /health { access_log off; } }", []),
        ("access_log off;", "", ["/etc/nginx/nginx.conf:3"]),
        (
            "server {\nif ($a ~ \"^}x\") { set $b '}'; }\n# access_log /no;\naccess_log /y;\n}",
            "",
            ["/etc/nginx/nginx.conf:6"],
        ),
        ("server { listen 80; set $a ${b}c; }", "server { access_log /y; }", ["/etc/nginx/conf.d/shop.conf:1"]),
    ],
)
def test_what_keeps_requests_from_the_log_is_named(http: str, shop: str, left_out: list[str]) -> None:
    assert nginx_left_out(dump(http, edgetally=OURS, shop=shop), LOG) == left_out


def test_a_stream_of_tcp_is_no_virtual_host() -> None:
    text = dump("", edgetally=OURS).replace("events {}", "stream { server { access_log /y basic; } }")
    assert nginx_left_out(text, LOG) == []


def test_logs_that_hold_for_all_are_known_by_their_file() -> None:
    text = dump("access_log /x;", edgetally=OURS, shop="server { access_log /y; }")
    assert nginx_log_files(text) == ["/etc/nginx/nginx.conf", "/etc/nginx/conf.d/edgetally.conf"]
    assert nginx_log_files("") == []


def test_a_real_nginx_prints_what_is_read(tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if nginx is None:
        pytest.skip("nginx is not installed here")
    (tmp_path / "shop.conf").write_text(f"server {{\n    access_log {tmp_path}/shop.log;\n}}\n")
    main = tmp_path / "nginx.conf"
    main.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{ access_log off; include shop.conf; }}\n")
    done = subprocess.run([nginx, "-T", "-c", str(main)], capture_output=True, text=True, check=True)
    assert nginx_left_out(done.stdout, LOG) == [f"{main}:3", f"{tmp_path}/shop.conf:2"]
