"""Amazon's access logs: of an Application Load Balancer, and of S3. Neither can be changed, and both grow at their end.

The load balancer's time is that of the end; what a transfer took is not there. S3's time is that at which the request
came, and its bytes are without headers; its host is that of the Host header, and in lines from before 2019 the bucket.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgetally.formats.build import Dialect, build
from edgetally.formats.log_format import LogFormat
from edgetally.formats.pattern import Piece

_FRONT = "the bytes where a server in front counts them"
ALB = Dialect(
    server="aws",
    title="ALB",
    directive="access log",
    roles={"time": ("time",), "size": ("sent_bytes",), "host": ("request", "domain_name"), "path": ("request",)},
    advice={"wire": _FRONT, "duration": "the duration where a server behind knows it"},
)
S3 = Dialect(
    server="aws",
    title="S3",
    directive="server access log",
    roles={
        "time": ("time",),
        "size": ("bytes_sent",),
        "host": ("host_header", "bucket"),
        "path": ("request_uri",),
        "duration": ("total_time",),
    },
    advice={"wire": _FRONT},
    body_only=("bytes_sent",),
    logs_start=True,
)
ALB_EXAMPLE = (
    "https 2026-10-10T20:55:36.250123Z app/lb/0123456789abcdef 192.0.2.7:51234 198.51.100.9:80 0.001 0.012 0.000 200 "
    '200 117 2326 "GET https://www.example.com:443/a.gif HTTP/2.0" "curl/8.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 '
    'arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef "Root=1-6705e8a8-0123" '
    '"www.example.com" "arn:aws:acm:eu-west-1:123456789012:certificate/0123" 0 2026-10-10T20:55:36.237000Z "forward" '
    '"-" "-" "198.51.100.9:80" "200" "-" "-" TID_0123456789abcdef'
)
S3_EXAMPLE = (
    "0123456789abcdef film [10/Oct/2026:13:55:36 +0000] 192.0.2.7 - 3E57427F3EXAMPLE REST.GET.OBJECT a.gif "
    '"GET /a.gif HTTP/1.1" 200 - 2326 2326 37 36 "-" "curl/8.0" - s9lzHYrFp76ZVxRcpX9= SigV4 '
    "ECDHE-RSA-AES128-GCM-SHA256 AuthHeader film.s3.eu-west-1.amazonaws.com TLSv1.2 - -"
)
# The values, with blanks between them. In quotes is what may hold blanks; in parentheses too, and a dash stands there
# without quotes; what is in brackets is not in all lines. S3's time is in brackets of its own, here in braces.
_ALB = (
    "type time elb client:port target:port request_processing_time target_processing_time response_processing_time "
    'elb_status_code target_status_code received_bytes sent_bytes "request" "user_agent" ssl_cipher ssl_protocol '
    'target_group_arn "trace_id" ["domain_name"] ["chosen_cert_arn"] [matched_rule_priority] [request_creation_time] '
    '["actions_executed"] ["redirect_url"] ["error_reason"] ["target:port_list"] ["target_status_code_list"] '
    '["classification"] ["classification_reason"] [conn_trace_id] ["transformed_host"] ["transformed_uri"] '
    '["request_transform_status"] ["more"] [more] ["more"] [more] ["more"]'
)
_S3 = (
    "bucket_owner bucket {time} remote_ip requester request_id operation key (request_uri) http_status error_code "
    "bytes_sent object_size total_time turn_around_time (referer) (user_agent) version_id [host_id] "
    "[signature_version] [cipher_suite] [authentication_type] [host_header] [tls_version] [access_point_arn] "
    "[acl_required] [source_region] [more] [more] [more] [more]"
)
_KINDS = {"type": "alb_type", "time": "rfc3339", "sent_bytes": "size", "bytes_sent": "size", "total_time": "ms"}
_KINDS.update(bucket="host", request="request", user_agent="text", trace_id="text")


def alb() -> LogFormat:
    """The access log of an Application Load Balancer."""
    described = "AWS: the access log of an Application Load Balancer"
    return build(ALB, "alb", described, _pieces(_ALB), example=ALB_EXAMPLE, escapes=False)


def s3() -> LogFormat:
    """The server access log of S3."""
    described = "AWS: S3's server access log"
    return build(S3, "s3", described, _pieces(_S3), example=S3_EXAMPLE, escapes=False)


def _pieces(values: str) -> Iterator[Piece]:
    """The pieces of a line that is written in the notation of `_ALB` and `_S3`."""
    for number, value in enumerate(values.split()):
        name = value.strip('[](){}"')
        if value.startswith("["):
            yield Piece(name, "more_quoted" if '"' in value else "more")
            continue
        yield from [Piece(" ", "literal")] * (number > 0)
        if value.startswith("("):
            yield from (Piece('"', "quote"), Piece(name, "maybe_request" if name == "request_uri" else "maybe_text"))
            yield Piece('"', "quote")
        elif value.startswith("{"):
            yield from (Piece("[", "literal"), Piece(name, "clf"), Piece("]", "literal"))
        elif value.startswith('"'):
            yield from (Piece('"', "literal"), Piece(name, _KINDS[name]), Piece('"', "literal"))
        else:
            yield Piece(name, _KINDS.get(name, "word"))
