"""The fields that each server documents, as they stand in its format; with an argument where one is needed.

Of Debian's releases of the servers, and of newer ones as far as these know them: what a server refuses, its test skips.
"""

from __future__ import annotations


def _each(text: str, before: str = "", behind: str = "") -> tuple[str, ...]:
    return tuple(f"{before}{word}{behind}" for word in text.split())


SQUID = (
    *_each("ts ts.%03tu tu tl tg tS tr dt <pt <tt %", "%"),
    *_each("{%d/%b/%Y:%H:%M:%S}tl {%FT%T%z}tl {%FT%T}tg", "%"),
    *_each(">a >A >p >eui >la >lp la lp <a <A <p <la <lp oa >qos <qos >nfmark <nfmark >handshake", "%"),
    *_each("et ea un ul ui ue credentials [un [ui #un note {x}note", "%"),
    *_each("rm >rm <rm ru >ru <ru >rs <rs >rd <rd >rP <rP rp >rp <rp rv >rv <rv", "%"),
    *_each(">h <h >ha {User-Agent}>h {Host}>h {X-Cache}<h {User-Agent}>ha {Via:;proxy}<h", "%"),
    *_each("\"{User-Agent}>h [{User-Agent}>h #{User-Agent}>h /{User-Agent}>h '{User-Agent}>h", "%"),
    *_each("Hs >Hs <Hs 03>Hs mt st >st <st >sh <sh <sH <sS <bs Ss Sh err_code err_detail sn master_xaction", "%"),
    *_each("http::rm http::>Hs http::<st 6tr -10tr 8<st .3mt", "%"),
    *_each("adapt::all_trs adapt::sum_trs adapt::<last_h {x}adapt::<last_h", "%"),
    *_each("proxy_protocol::>h", "%"),
)
NGINX = (
    *_each("ancient_browser arg_a args binary_remote_addr body_bytes_sent bytes_sent connection", "$"),
    *_each("connection_requests connection_time connections_active connections_reading connections_waiting", "$"),
    *_each("connections_writing content_length content_type cookie_a date_gmt date_local document_root", "$"),
    *_each("document_uri fastcgi_path_info fastcgi_script_name gzip_ratio host hostname http2 http_host", "$"),
    *_each("http_user_agent http_referer http_x_forwarded_for http_via http_cookie https invalid_referer is_args", "$"),
    *_each("limit_conn_status limit_rate limit_req_status modern_browser msec msie nginx_version pid pipe", "$"),
    *_each("proxy_add_x_forwarded_for proxy_host proxy_port proxy_protocol_addr proxy_protocol_port", "$"),
    *_each("proxy_protocol_server_addr proxy_protocol_server_port proxy_internal_body_length query_string", "$"),
    *_each("realip_remote_addr realip_remote_port realpath_root remote_addr remote_port remote_user request", "$"),
    *_each("request_body request_body_file request_completion request_filename request_id request_length", "$"),
    *_each("request_method request_time request_uri scheme sent_http_content_type sent_http_content_length", "$"),
    *_each("sent_http_location sent_http_last_modified sent_http_connection sent_http_keep_alive", "$"),
    *_each("sent_http_transfer_encoding sent_http_cache_control sent_http_link sent_http_etag server_addr", "$"),
    *_each("sent_trailer_x server_name server_port server_protocol slice_range ssl_cipher ssl_ciphers", "$"),
    *_each("ssl_client_cert ssl_client_escaped_cert ssl_client_fingerprint ssl_client_i_dn ssl_client_s_dn", "$"),
    *_each("ssl_client_serial ssl_client_v_end ssl_client_v_remain ssl_client_v_start ssl_client_verify", "$"),
    *_each("ssl_curve ssl_curves ssl_early_data ssl_protocol ssl_server_name ssl_session_id ssl_session_reused", "$"),
    *_each("status tcpinfo_rtt tcpinfo_rttvar tcpinfo_snd_cwnd tcpinfo_rcv_space time_iso8601 time_local", "$"),
    *_each("uid_got uid_reset uid_set upstream_addr upstream_bytes_received upstream_bytes_sent", "$"),
    *_each("upstream_cache_status upstream_connect_time upstream_cookie_a upstream_header_time", "$"),
    *_each("upstream_http_etag upstream_http_server upstream_http_date upstream_response_length", "$"),
    *_each("upstream_response_time upstream_status upstream_trailer_x uri", "$"),
)
APACHE = (
    *_each("% a {c}a A B b {a}C D {cache-status}e {X-Y}e f h {c}h H {User-Agent}i {Host}i {Referer}i", "%"),
    *_each("{X-Forwarded-For}i {Cookie}i k l L {c}L m {ratio}n {Content-Type}o {Set-Cookie}o {X-Cache}o", "%"),
    *_each("{Last-Modified}o {Server}o {ETag}o p {canonical}p {local}p {remote}p P {pid}P {tid}P {hextid}P", "%"),
    *_each("q r R s >s <s t {sec}t {msec}t {usec}t {end:sec}t {begin:usec}t {end:msec}t {msec_frac}t", "%"),
    *_each("{usec_frac}t {%d/%b/%Y:%T}t {%FT%T%z}t {end:%FT%T%z}t {%c}t {%H:%M:%S}t T {s}T {ms}T {us}T u U v V", "%"),
    *_each("X I O S {x}^ti {x}^to ^FB 400,501{User-Agent}i !200,304,302{Referer}i >b <b >r", "%"),
    "%{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t",
    "%{%Y-%m-%d %H:%M:%S}t",
    *_each("{SSL_PROTOCOL}x {SSL_CLIENT_S_DN}x {version}c {SSL_CIPHER}x", "%"),
)
LIGHTTPD = (
    *_each("% a {c}a {mask}a A B b {a}C D {X-Y}e f h H {User-Agent}i {Host}i {Referer}i {Cookie}i I k l m n", "%"),
    *_each("{ratio}n {Content-Type}o {Server}o {ETag}o {Last-Modified}o O p {canonical}p {local}p {remote}p P q", "%"),
    *_each("r s >s t T {s}T {ms}T", "%"),
    *_each("{us}T {sec}T u U v V X", "%"),
)
VARNISH = (
    *_each("b D H h I {User-Agent}i {Host}i {Referer}i {Cookie}i {X-Forwarded-For}i l m {Content-Type}o", "%"),
    *_each(
        "{Age}o {X-Varnish}o {Via}o {Last-Modified}o O q r s t {%d/%b/%Y:%T}t {%FT%T%z}t {sec}t {msec}t {usec}t", "%"
    ),
    *_each("{msec_frac}t {usec_frac}t T {s}T {ms}T {us}T U u {Varnish:time_firstbyte}x {Varnish:hitmiss}x", "%"),
    *_each("{Varnish:handling}x {Varnish:side}x {Varnish:vxid}x {VCL_Log:key}x {VSL:Timestamp}x", "%"),
    *_each("{VSL:ReqAcct[5]}x {VSL:Timestamp:Resp[2]}x {VSL:ReqStart}x", "%"),
)
_FLAGS = "B CC CS HM HP ID ST Ta bi ci cp si sp ts tsc t T r s pid rt hrl"
HAPROXY = (
    *_each(
        "% ci cp B CC CS H HM HP HPO HQ HU HV ID ST T Ta Tc Td Tl Th Ti Tq TR Tr Ts Tt Tu Tw U ac b bc bi bp bq", "%"
    ),
    *_each("f fc fi fp ft lc hr hrl hs hsl ms pid r rc rt s sc si sp sq sslc sslv t tr trg trl ts tsc Ts.%ms", "%"),
    *_each(_FLAGS, "%{+Q}"),
    *_each(_FLAGS, "%{+E}"),
    *_each("ci cp bi bp si sp fi fp Ts rt pid ms", "%{+X}"),
    *_each(_FLAGS, "%{+Q,+E}"),
    *_each("res.cache_hit res.cache_name method status src dst src_port dst_port date date,hex unique-id", "%[", "]"),
    *_each("capture.req.hdr(0) capture.res.hdr(0) capture.req.uri capture.req.method capture.req.ver", "%[", "]"),
    *_each(
        "capture.res.ver var(txn.host) be_name fe_name fc_http_major fc_rtt fc_err fc_err_str bc_err bc_err_str",
        "%[",
        "]",
    ),
    *_each("ssl_fc_sni ssl_fc_protocol ssl_fc_cipher ssl_fc_err,hex ssl_c_err ssl_c_ca_err", "%[", "]"),
    *_each("ssl_fc_is_resumed", "%[", "]"),
    *_each("[capture.req.hdr(0)] [capture.res.hdr(0)] [var(txn.host)] [res.cache_hit] [status]", "%{+Q}"),
    *_each("[capture.req.hdr(0)] [var(txn.host)]", "%{+E}"),
)
TRAFFICSERVER = (
    *_each("chi chp chih hii hiih caun piid pitag cqts cqth cqtq cqtn cqtd cqtt cqtr", "%<", ">"),
    *_each("cqhm cqu cquc cquuc cquup cquuh cqus cqup cqpv sqpv cqhl cqql cluc", "%<", ">"),
    *_each("cssn cscert pscert puuid cqcl cqssl cqssr cqint cqmpt cqssv cqssc cqssu cqssa", "%<", ">"),
    *_each("cfsc crid cruuid crec ctec cqah psct prrp psql pscl psch pssc pshl", "%<", ">"),
    *_each(
        "pfsc crc crsc chm psah pqhl pqql pqcl pqsi pqsp nhi nhp phr phn phi php pqssl pqssr pqah shi shn", "%<", ">"
    ),
    *_each("sssc sscl sshl ssql sshv stms stmsh stmsf sts sstc sca ssah csssc csscl csshl cssql", "%<", ">"),
    *_each(
        "csshv cssah crat cwr cwtr ttms ttmsh ttmsf tts fsiz ccid ctid crra cwra cccs ctpw ctpd ppv pps ppd", "%<", ">"
    ),
    *_each("vbn vs cqtx cqhv", "%<", ">"),
    *_each("{User-Agent}cqh {User-Agent}ecqh {Host}cqh {Host}ecqh {Cookie}cqh {Via}pqh {Via}epqh {Age}psh", "%<", ">"),
    *_each("{ETag}epsh {Server}ssh {Server}essh {Server}cssh {Server}ecssh {TS_MILESTONE_SM_START}ms", "%<", ">"),
    *_each("{TS_MILESTONE_SM_FINISH-TS_MILESTONE_SM_START}msdms cquuc[0:10] {User-Agent}cqh[0:5] shi[0:3]", "%<", ">"),
    "%<cqtd> %<cqtt>",
)
DOCUMENTED: dict[str, tuple[str, ...]] = {
    "squid": SQUID,
    "haproxy": HAPROXY,
    "apache": APACHE,
    "nginx": NGINX,
    "varnish": VARNISH,
    "trafficserver": TRAFFICSERVER,
    "lighttpd": LIGHTTPD,
}
# Of newer releases, or of builds with more than Debian's: these are not tried.
NEWER: dict[str, tuple[str, ...]] = {
    "squid": (
        *_each("busy_time us rs rd rP request_attempts ssl::bump_mode ssl::>sni ssl::>cert_subject", "%"),
        *_each("ssl::>cert_issuer ssl::<cert_subject ssl::<cert_issuer ssl::<cert_errors ssl::<cert", "%"),
        *_each(
            "ssl::>negotiated_version ssl::<negotiated_version ssl::>negotiated_cipher ssl::<negotiated_cipher", "%"
        ),
        *_each("ssl::>received_hello_version ssl::<received_hello_version", "%"),
        *_each("ssl::>received_supported_version ssl::<received_supported_version byte{33}", "%"),
        *_each("{:authority}proxy_protocol::>h transport::>connection_id icap::tt icap::<st", "%"),
    ),
    "haproxy": ("%OG", "%[bytes_out]", "%[txn.timer.total]", "%[fc.timer.total]"),
    "nginx": ("$srcache_fetch_status", "$request_port", "$upstream_queue_time", "$ssl_sigalg"),
    "trafficserver": (
        *_each("chiv rchi rchp rchh cqtb pqu pquc pqus pqup cqqtl ckh psfid cqssrt cqssg cthbr cthbt", "%<", ">"),
        *_each("cthb psqtl prscs mstsms surc ssrc ppa pptc pptv pptg", "%<", ">"),
        '%<{X-A}cqh??"none">',
    ),
}
