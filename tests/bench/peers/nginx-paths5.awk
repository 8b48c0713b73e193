# nginx.awk, by channel: one regular expression of all prefixes. Five of them in turn take a fifth more, looking up the
# path's beginnings of each length half as much again.
BEGIN { FS = "\"" }
FNR == 1 {
    while ((getline line < rules) > 0) {
        split(line, rule, " ")
        channels[rule[1]] = rule[2]
        any = any "|" rule[1]
    }
    any = " (" substr(any, 2) ")"
}
NF != 9 { gsub(/\\[\\"]/, "~~") }
{
    time = substr($1, length($1) - 27, 17)
    if (time != last) {
        last = time
        now = substr(time, 1, 15) int(substr(time, 16, 2) / 5) * 5 " "
        if (now != slot) { flush(); slot = now }
    }
    name = match($2, any) ? channels[substr($2, RSTART + 1, RLENGTH - 1)] : "unassigned"
    if ($9 ~ /HIT$|STALE$|UPDATING$|REVALIDATED$/) { hits[name]++; hit_bytes[name] += substr($3, 6) }
    else { requests[name]++; bytes[name] += substr($3, 6) }
}
