#!/bin/sh
# expect: format_elsewhere
FORMAT="${VARNISHNCSA_FORMAT:-"%h %l %u %t \"%r\" %s %b"}"
exec varnishncsa -a -D -w /var/log/varnish/access.log -F "${FORMAT}"
