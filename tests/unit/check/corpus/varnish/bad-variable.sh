#!/bin/sh
# expect: body_bytes
FORMAT='%t %D %s %b %{Varnish:handling}x "%{Host}i" "%r"'
OPTIONS="-a -D -w /var/log/varnish/access.log"
exec varnishncsa $OPTIONS -F "$FORMAT"
