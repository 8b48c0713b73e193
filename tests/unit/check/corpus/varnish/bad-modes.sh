#!/bin/sh
# expect: backend_traffic, subrequests, sampled_log, conditional_log, no_file
exec varnishncsa -b -c -E -R 100/1s -q 'RespStatus < 400' -F '%t %D "%{Host}i" "%r" %s %O %{Varnish:handling}x' |
    logger -t varnish
