# What an operator writes at first for the same sums; see nginx.awk for the fastest program.
BEGIN { FS = "\""; hit["HIT"]; hit["STALE"]; hit["UPDATING"]; hit["REVALIDATED"] }
NF != 9 { gsub(/\\[\\"]/, "~~") }
{
    time = substr($1, index($1, "[") + 1, 17)
    if (time != last) { last = time; slot = substr(time, 1, 15) int(substr(time, 16, 2) / 5) * 5 }
    split($3, numbers, " ")
    split($9, words, " ")
    key = slot " " $8
    requests[key]++
    bytes[key] += numbers[2]
    if (words[2] in hit) { hits[key]++; hit_bytes[key] += numbers[2] }
}
END { for (key in requests) printf "%s %d %.0f %d %.0f\n", key, requests[key], bytes[key], hits[key], hit_bytes[key] }
