# Slashes part a URL's host from the rest, and the cache's word from the numbers. mawk's own field separator, with
# split() for the URL, takes 0.94 s instead of 0.78 s.
BEGIN { FS = "/" }
{
    time = substr($1, 1, 10)
    if (time != last) {
        last = time
        now = time - time % 300 " "
        if (now != slot) { flush(); slot = now }
    }
    if ($3 == "") host = $4
    else { split($2, words, " "); host = words[3] == "CONNECT" ? words[4] : "-" }
    if ($1 ~ /_HIT$|_HIT_|_REFRESH_UNMODIFIED/) { hits[host]++; hit_bytes[host] += substr($2, 5) }
    else { requests[host]++; bytes[host] += substr($2, 5) }
}
