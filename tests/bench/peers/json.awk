# By places, since nginx writes the keys in their order and all that is needed stands before what clients send. With
# the quote as the field separator it takes 1.33 s instead of 0.72 s.
{
    time = substr($0, 10, 16)
    if (time != last) {
        last = time
        now = substr(time, 1, 14) int(substr(time, 15, 2) / 5) * 5 " "
        if (now != slot) { flush(); slot = now }
    }
    rest = substr($0, 45)
    quote = index(rest, "\"")
    host = substr(rest, 1, quote - 1)
    rest = substr(rest, quote + 26, 60)  # behind: ","status":"200","bytes":"
    if (rest ~ /"cache":"(HIT|STALE|UPDATING|REVALIDATED)"/) { hits[host]++; hit_bytes[host] += rest }
    else { requests[host]++; bytes[host] += rest }
}
