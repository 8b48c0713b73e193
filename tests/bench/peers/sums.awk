# What all the programs here share: the sums of a slot so far go to those of the log, by slot and host; and the output.
# Ports and quotes are removed here, once a slot and host. Prints: slot host requests bytes hits hit_bytes.
function flush(  host, key) {
    for (host in hits) {
        key = slot host
        gsub(/:[0-9]+$|"/, "", key)
        all_hits[key] += hits[host]
        all_hit_bytes[key] += hit_bytes[host]
        requests[host] += hits[host]
        bytes[host] += hit_bytes[host]
    }
    for (host in requests) {
        key = slot host
        gsub(/:[0-9]+$|"/, "", key)
        all_requests[key] += requests[host]
        all_bytes[key] += bytes[host]
    }
    split("", requests)
    split("", bytes)
    split("", hits)
    split("", hit_bytes)
}
END {
    flush()
    for (key in all_requests)
        printf "%s %d %.0f %d %.0f\n", key, all_requests[key], all_bytes[key], all_hits[key], all_hit_bytes[key]
}
