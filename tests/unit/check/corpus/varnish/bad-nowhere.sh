#!/bin/sh
# expect: log_off
varnishncsa -a -c -D -w /dev/null -P /run/varnishncsa.pid
