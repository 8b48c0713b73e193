# With numbers instead of texts for the slot: 0.79 s instead of 0.64 s; with a regular expression for the hits: 0.69 s.
BEGIN { FS = ","; hit["HIT"]; hit["STALE"]; hit["UPDATING"]; hit["REVALIDATED"] }
{
    time = substr($1, 1, 10)
    if (time != last) {
        last = time
        now = time - time % 300 " "
        if (now != slot) { flush(); slot = now }
    }
    if ($6 in hit) { hits[$3]++; hit_bytes[$3] += $5 }
    else { requests[$3]++; bytes[$3] += $5 }
}
