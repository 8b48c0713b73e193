//! What caller and kernel share. Python declares the same structures, and compares their sizes before it calls.
#![forbid(unsafe_code)]

/// Rises with every change of a structure, an instruction, a flag or an answer.
pub const VERSION: u32 = 2;

/// What every buffer has behind the last byte that is looked at: reading goes up to 64 bytes at a time.
pub const SLACK: usize = 64;

/// Stands for no cell, no channel, no node and no group.
pub const NONE: u32 = u32::MAX;

/// In the place of an entry's rules: its lines are left.
pub const UNREADABLE: u32 = NONE - 1;

/// One instruction of a line's program: a field, and the literal behind it.
///
/// OBJECT: a JSON object. `least` is the number of the instruction before those of its members, which stand behind END,
/// and are numbered from 1; `most` is how many there are; `literal` has a bit for each that is needed. A member is UNTIL,
/// WHOLE, DECIMAL or TIME, or OBJECT where members in it are wanted. Its name is in `lows`, and as long as `least`;
/// `back` is the member that it is in, or 0. DECIMAL: `literal` may stand behind it in a text, a `unit` of 0 shows by the
/// digits of a time. TIME: with PLUS it may be a number, too.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Op {
    /// Which instruction: see `kind`.
    pub kind: u8,
    /// What the field is to the tally: see `role`.
    pub role: u8,
    /// See `flag`.
    pub flags: u8,
    /// UNTIL: how many of the field's last bytes belong to the literal.
    pub back: u8,
    /// GROUP: the byte that it begins with; TIME: the one before a fraction; UNTIL, RANGES: the one before a last number.
    pub open: u8,
    /// GROUP: the byte that it ends with, 0 for one of the stops. UNTIL: the byte that it may not end with.
    pub close: u8,
    /// DECIMAL and TIME: how many digits a fraction has, at least and at most.
    pub fraction: [u8; 2],
    /// How many bytes or digits the field has, at least and at most. TIME: `most` is up to the fraction.
    pub least: u32,
    pub most: u32,
    /// Durations: nanoseconds of the unit. Times as numbers: its microseconds.
    pub unit: u32,
    /// TIME: which of the clocks.
    pub clock: u32,
    /// TIME: where the seconds are.
    pub seconds: u32,
    /// TIME: how many bytes follow the fraction, or ZONE.
    pub tail: u32,
    /// The literal behind the field: its length, a bit for each of its bytes, and these.
    pub literal_len: u32,
    pub literal_bits: u32,
    pub literal: [u8; 16],
    /// TIME: what keeps the first and the last 16 bytes, but for the two digits of the seconds.
    pub minute_mask: [u64; 4],
    /// UNTIL, GROUP: the bytes that end it, each sixteen times.
    pub stops: [[u8; 16]; 4],
    /// RANGES: where they begin, and how far they go, each sixteen times.
    pub lows: [[u8; 16]; 4],
    pub widths: [[u8; 16]; 4],
}

pub mod kind {
    pub const LITERAL: u8 = 0;
    pub const UNTIL: u8 = 1;
    pub const RANGES: u8 = 2;
    pub const WHOLE: u8 = 3;
    pub const DECIMAL: u8 = 4;
    pub const TIME: u8 = 5;
    pub const PAD: u8 = 6;
    pub const GROUP: u8 = 7;
    pub const SYSLOG: u8 = 8;
    pub const CONTAINER: u8 = 9;
    pub const OBJECT: u8 = 10;
    pub const END: u8 = 11;
}

pub mod flag {
    /// A `-` alone will do.
    pub const DASH: u8 = 1;
    /// The number may be negative.
    pub const MINUS: u8 = 2;
    /// The number may have a `+`.
    pub const PLUS: u8 = 4;
    /// The field begins with a capital letter.
    pub const LETTER: u8 = 8;
    /// A backslash escapes a quote or a backslash.
    pub const ESCAPES: u8 = 16;
    /// It has at most two stops, or ranges.
    pub const TWO: u8 = 32;
    /// It has at most two stops, and is mostly long.
    pub const WIDE: u8 = 64;
    /// UNTIL and RANGES: its end has to be looked at: `open` and `close` say for what. GROUP: a space may stand before it.
    pub const LAST: u8 = 128;
}

pub mod role {
    // 0 is none of these
    pub const SIZE: u8 = 1;
    pub const LASTED: u8 = 2;
    pub const WORD: u8 = 3;
    pub const MOMENT: u8 = 4;
    /// A request or a URL, of which the host or the path is asked for.
    pub const TARGET: u8 = 5;
    /// A path with what follows it, and one alone, which a target's is put into.
    pub const URI: u8 = 6;
    pub const PATH: u8 = 7;
    /// The hosts, in their order of precedence; the one that is in the target is put there.
    pub const HOST: u8 = 8;
}

/// How many roles there can be, and how many hosts a line can name.
pub const ROLES: usize = 16;
pub const HOSTS: usize = 4;

/// What was found of each role in the line that was read last.
pub type Spans = [crate::text::Span; ROLES];

/// The tail of a TIME: Z, or +hh:mm.
pub const ZONE: u32 = 255;

/// What the state's options are.
pub mod option {
    /// The duration is added to the time.
    pub const ADDS: u64 = 1;
    pub const SPREADS: u64 = 2;
    /// Some channels depend on the path.
    pub const PATHS: u64 = 4;
    /// The format has the cache's word.
    pub const HITS: u64 = 8;
    /// The target begins with a method.
    pub const METHOD: u64 = 16;
    /// There is a target; the path is that of a URI.
    pub const TARGET: u64 = 32;
    pub const URI: u64 = 64;
    /// A line may have a prefix of syslog's or of a container's log.
    pub const WRAPPED: u64 = 128;
}

/// Why the kernel stops.
pub mod answer {
    /// All lines are read.
    pub const DONE: u32 = 0;
    /// There is no more room for lines that are left.
    pub const FULL: u32 = 1;
    /// There is no more room for what is counted.
    pub const FLUSH: u32 = 2;
    /// `asked` is a new word, minute or entry, about which the caller decides.
    pub const WORD: u32 = 3;
    pub const MINUTE: u32 = 4;
    pub const ENTRY: u32 = 5;
    /// The caller's arguments are wrong.
    pub const BAD: u32 = 6;
}

/// A line's hosts, as logged.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Entry {
    pub hash: u64,
    /// Where the text begins in the arena.
    pub offset: u32,
    pub lengths: [u16; HOSTS],
    /// The first of its cells.
    pub cell: u32,
    /// The first group of rules that look at the path; NONE where it does not matter, or UNREADABLE. The caller's answer.
    pub rules: u32,
    pub reserved: u32,
}

/// The sums of a slot and a channel, or where the path gives none, of a slot and an entry: for misses and for hits.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Cell {
    pub slot: u32,
    /// One of these is NONE.
    pub entry: u32,
    pub channel: u32,
    pub next: u32,
    pub requests: [u64; 2],
    pub bytes: [u64; 2],
}

/// A word of the cache's. hit: 1 or 0, the caller's answer.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Word {
    /// NONE where there is none.
    pub len: u32,
    pub hit: u32,
    pub text: [u64; 4],
}

/// A minute as written. time: its microseconds, the caller's answer; less than 0 where there is no such minute.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Minute {
    pub text: [u64; 5],
    pub time: i64,
}

/// What a clock read last: a whole time, and its minute.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Clock {
    pub whole: [u64; 5],
    pub time: i64,
    pub minute: [u64; 5],
    pub minute_time: i64,
}

/// A piece of the prefixes of a group: up to sixteen bytes, and the nodes that follow. It fills a line of the cache.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Node {
    pub text: [u64; 2],
    /// The first bytes of the nodes that follow.
    pub firsts: [u8; 16],
    pub len: u32,
    /// The nodes that follow: the number of the first, and how many. more: a node that has only more of them, or NONE.
    pub child: u32,
    pub children: u32,
    pub more: u32,
    /// The first rule of the prefixes that end here or before, and its channel; NONE where there is none.
    pub rule: u32,
    pub channel: u32,
    pub reserved: [u32; 2],
}

/// The rules of a host pattern that look at the path. next: another group for the same hosts, or NONE.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Group {
    pub root: u32,
    /// From this rule on none counts: it matches these hosts whatever the path is.
    pub limit: u32,
    pub next: u32,
}

/// A step of a way through JSON: what stands before a value, and what that is. See `way`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Step {
    pub literal: [[u8; 16]; 2],
    /// A bit for each byte of the literal.
    pub bytes: u64,
    pub len: u32,
    pub kind: u32,
    pub member: u32,
    /// The first of the steps behind this one, and the next of those that may stand here; 0 for none.
    pub next: u32,
    pub other: u32,
    pub reserved: u32,
}

/// What stands behind a step's literal.
pub mod way {
    /// More of the literal.
    pub const MORE: u32 = 0;
    pub const TEXT: u32 = 1;
    /// A text that is mostly long.
    pub const FAR: u32 = 2;
    pub const NUMBER: u32 = 3;
    /// An object or array, whose bracket is the literal's last byte.
    pub const INSIDE: u32 = 4;
    /// The value of a member that is wanted.
    pub const MEMBER: u32 = 5;
    /// The line ends.
    pub const END: u32 = 6;
}

/// A line that is left to the caller: from where to where it goes, and its number.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Left {
    pub start: u64,
    pub end: u64,
    pub line: u64,
}

/// What the caller sets and the kernel changes.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct State {
    /// The bytes to read, of which the last is a newline, and the number of the line that is next.
    pub pos: usize,
    pub end: usize,
    pub line: u64,
    /// See `option`.
    pub options: u64,
    /// How many hosts a line has, and the role of what is in the target: one of these, or 0.
    pub hosts: u64,
    pub target: u64,
    /// Microseconds: what ended before the first is set aside, what is not between the others is left.
    pub since: i64,
    pub low: i64,
    pub high: i64,
    /// Milliseconds over which bytes are spread at most.
    pub longest: i64,
    pub seed: u64,
    /// How much there is of each.
    pub left: usize,
    pub entries: usize,
    pub arena: usize,
    pub cells: usize,
    pub aside: u64,
    pub clipped: u64,
    /// Ends of the first and the last line that was counted.
    pub first: i64,
    pub last: i64,
    /// What is asked for: its number, where it is in the buffer, and for a minute by which clock.
    pub asked: usize,
    pub asked_at: usize,
    pub asked_clock: u64,
    pub clocks: [Clock; 4],
    /// How many steps there are, and how many lines went no known way since there were none.
    pub steps: usize,
    pub misses: u64,
}
