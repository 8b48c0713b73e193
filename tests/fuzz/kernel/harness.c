/* Feeds the kernel alone with whatever libFuzzer makes: no access outside of what is lent, no line that is lost.
 *
 * PROGRAMS names the file with the programs of all formats (programs.py): sizes, then for each the ops, and the state's
 * options, hosts and target. An input's first byte chooses one, its second how small the tables are. All memory is
 * allocated anew for each input, just as big as it is said to be, so that AddressSanitizer sees each byte too many.
 * With -DALONE it reads files of such inputs, and prints what all of them came to: the same on every machine.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLACK 64
#define NONE 0xFFFFFFFFu

enum { TEXT, OPS, NODES, GROUPS, HEADS, TABLE, ENTRIES, ARENA, CELLS, WORDS, MINUTES, LEFT, STEPS, LENT };
enum { DONE, FULL, FLUSH, WORD, MINUTE, ENTRY, BAD };

struct lent { void *start; size_t len; };
struct clock { uint64_t whole[5]; int64_t time; uint64_t minute[5]; int64_t minute_time; };
struct state {
    size_t pos, end;
    uint64_t line, options, hosts, target;
    int64_t since, low, high, longest;
    uint64_t seed;
    size_t left, entries, arena, cells;
    uint64_t aside, clipped;
    int64_t first, last;
    size_t asked, asked_at;
    uint64_t asked_clock;
    struct clock clocks[4];
    size_t steps;
    uint64_t misses;
};
struct context { struct lent lent[LENT]; struct state state; size_t spans[32]; };
struct cell { uint32_t slot, entry, channel, next; uint64_t requests[2], bytes[2]; };
struct word { uint32_t len, hit; uint64_t text[4]; };
struct minute { uint64_t text[5]; int64_t time; };
struct entry { uint64_t hash; uint32_t offset; uint16_t lengths[4]; uint32_t cell, rules, reserved; };
struct node { char text[16], firsts[16]; uint32_t len, child, children, more, rule, channel, reserved[2]; };
struct group { uint32_t root, limit, next; };

extern uint32_t edgetally_count(struct context *);
void edgetally_cannot_panic(void) { abort(); }

static uint64_t sums; /* of all that was counted and left, in one number */
static void note(const void *data, size_t size) {
    for (const unsigned char *byte = data; size--; byte++) sums = (sums ^ *byte) * 0x100000001B3u;
}

static unsigned char *programs;
static size_t op_size, count, at_of[256];

static void load(void) {
    FILE *file = fopen(getenv("PROGRAMS"), "rb");
    if (!file || fseek(file, 0, SEEK_END)) { perror("PROGRAMS"); exit(2); }
    size_t size = ftell(file), at = 8;
    rewind(file);
    programs = malloc(size);
    if (fread(programs, 1, size, file) != size) { perror("PROGRAMS"); exit(2); }
    uint64_t head[4];
    memcpy(head, programs, 8);
    for (op_size = head[0]; at < size && count < 256; count++) {
        at_of[count] = at;
        memcpy(head, programs + at, sizeof head);
        at += sizeof head + head[0] * op_size;
    }
    fclose(file);
}

static void lend(struct context *c, int which, size_t len, size_t size) {
    c->lent[which].start = calloc(len, size);
    c->lent[which].len = len;
}

static void forget(struct context *c) {
    c->state.entries = c->state.arena = c->state.cells = 0;
    memset(c->lent[TABLE].start, 0, c->lent[TABLE].len * 4);
    memset(c->lent[HEADS].start, 0xFF, c->lent[HEADS].len * 4);
}

static uint64_t counted(struct context *c) {
    struct cell *cells = c->lent[CELLS].start;
    uint64_t sum = 0;
    for (size_t n = 0; n < c->state.cells; n++) sum += cells[n].requests[0] + cells[n].requests[1];
    note(cells, c->state.cells * sizeof *cells);
    return sum;
}

/* Two groups: the prefixes /, /a and /live/, of which the last stands in a node of its own; and /abcdefghijklmnop. */
static void rules(struct context *c) {
    lend(c, NODES, 6, sizeof(struct node));
    struct node tree[6] = {
        {"/", "a", 1, 1, 1, 3, 4, 0, {0}},
        {"a", "", 1, 0, 0, NONE, 2, 1, {0}},
        {"live/", "", 5, 0, 0, NONE, 1, 2, {0}},
        {"", "l", 0, 2, 1, NONE, NONE, NONE, {0}},
        {"/abcdefghijklmno", "p", 16, 5, 1, NONE, NONE, NONE, {0}},
        {"p", "", 1, 0, 0, NONE, 0, 0, {0}},
    };
    memcpy(c->lent[NODES].start, tree, sizeof tree);
    lend(c, GROUPS, 2, sizeof(struct group));
    struct group groups[2] = {{0, 3, 1}, {4, 3, NONE}};
    memcpy(c->lent[GROUPS].start, groups, sizeof groups);
    lend(c, HEADS, 3, 4);
    memset(c->lent[HEADS].start, 0xFF, 3 * 4);
}

/* As Python does, take no minute that goes over a line's end. */
static void read_minute(struct minute *minute) {
    minute->time = memchr(minute->text, '\n', sizeof minute->text) ? -1 : 1780000000000000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!programs) load();
    if (size < 3) return 0;
    uint64_t head[4];
    unsigned char *program = programs + at_of[data[0] % count];
    memcpy(head, program, sizeof head);
    size_t small = data[1] % 8, lines = size - 2;
    struct context *c = calloc(1, sizeof *c);
    lend(c, TEXT, lines + 1 + SLACK, 1);
    memcpy(c->lent[TEXT].start, data + 2, lines);
    ((char *)c->lent[TEXT].start)[lines] = '\n';
    lend(c, OPS, head[0], op_size);
    memcpy(c->lent[OPS].start, program + sizeof head, head[0] * op_size);
    rules(c);
    lend(c, TABLE, 16 << small, 4);
    lend(c, ENTRIES, 3 + small, sizeof(struct entry));
    lend(c, ARENA, 1100 + 64 * small, 1);
    lend(c, CELLS, 80 + small, sizeof(struct cell));
    lend(c, WORDS, 1 << small, sizeof(struct word));
    lend(c, MINUTES, 1 << small, sizeof(struct minute));
    lend(c, LEFT, 1 + small, 24);
    lend(c, STEPS, 1 + 8 * small, 64);
    struct word *words = c->lent[WORDS].start;
    for (size_t n = 0; n < c->lent[WORDS].len; n++) words[n].len = NONE;
    struct state *s = &c->state;
    s->end = lines + 1, s->seed = 7 + small, s->options = head[1], s->hosts = head[2], s->target = head[3];
    if (small & 1) s->options |= 2, s->longest = 21600000;
    if (small & 2) s->options |= 4;
    s->high = (int64_t)1 << 62, s->first = (int64_t)1 << 62, s->last = -s->first;
    uint64_t found = 0, wanted = 0;
    for (size_t n = 0; n <= lines; n++) wanted += ((char *)c->lent[TEXT].start)[n] == '\n';
    for (uint32_t why = FULL; why != DONE;) {
        why = edgetally_count(c);
        if (why == DONE || why == FULL) found += s->left, s->left = 0;
        if (why == FLUSH) found += counted(c), forget(c);
        if (why == WORD) words[s->asked].hit = data[1] & 1;
        if (why == MINUTE) read_minute((struct minute *)c->lent[MINUTES].start + s->asked);
        if (why == ENTRY) ((struct entry *)c->lent[ENTRIES].start)[s->asked].rules = data[1] & 1 ? 0 : NONE;
        if (why == BAD) abort();
    }
    note(&found, sizeof found);
    if (found + counted(c) + s->aside != wanted) abort(); /* a line is lost, or counted twice */
    for (int n = 0; n < LENT; n++) free(c->lent[n].start);
    free(c);
    return 0;
}

#ifdef ALONE
int main(int argc, char **argv) {
    for (int n = 1; n < argc; n++) {
        static uint8_t input[1 << 16];
        FILE *file = fopen(argv[n], "rb");
        if (!file) { perror(argv[n]); return 2; }
        LLVMFuzzerTestOneInput(input, fread(input, 1, sizeof input, file));
        fclose(file);
    }
    printf("%016llx\n", (unsigned long long)sums);
}
#endif
