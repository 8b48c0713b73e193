# By places from both ends, since Caddy writes its members in their order and the response has few headers here. With
# index() from the beginning to the size it takes a fifth more, with the members' names as the field separator three times
# as long.
{
    time = substr($0, 22, 10)
    if (time != last) {
        last = time
        now = time - time % 300 " "
        if (now != slot) { flush(); slot = now }
    }
    host = substr($0, 210, 200)
    host = substr(host, index(host, "\"host\":\"") + 8)
    host = substr(host, 1, index(host, "\"") - 1)
    size = substr($0, length($0) - 100)
    requests[host]++
    bytes[host] += substr(size, index(size, "\"size\":") + 7)
}
