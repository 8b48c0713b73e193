# nginx.awk, by channel: it knows that a rule's prefix is a word and two digits, and looks only such paths up. Looking up
# the beginnings of each length takes twice as long, one regular expression of all prefixes ten times.
BEGIN { FS = "\"" }
FNR == 1 { while ((getline line < rules) > 0) { split(line, rule, " "); channels[rule[1]] = rule[2] } }
NF != 9 { gsub(/\\[\\"]/, "~~") }
{
    time = substr($1, length($1) - 27, 17)
    if (time != last) {
        last = time
        now = substr(time, 1, 15) int(substr(time, 16, 2) / 5) * 5 " "
        if (now != slot) { flush(); slot = now }
    }
    name = "unassigned"
    if (match($2, /^[A-Z]+ \/[a-z]+[0-9][0-9]/)) {
        at = index($2, "/")
        prefix = substr($2, at, RLENGTH - at + 1)
        if (prefix in channels) name = channels[prefix]
    }
    if ($9 ~ /HIT$|STALE$|UPDATING$|REVALIDATED$/) { hits[name]++; hit_bytes[name] += substr($3, 6) }
    else { requests[name]++; bytes[name] += substr($3, 6) }
}
