//! Bytes, and what is found in them. No place is trusted: what is not there makes the line one that is left.
#![forbid(unsafe_code)]

use crate::lanes::{self, Lanes};

/// Why a line, or the kernel, stops.
pub enum Stop {
    /// The line is left to the caller.
    Leave,
    /// The kernel answers this; the line is read again.
    Answer(u32),
}

pub type Found<T> = Result<T, Stop>;

/// Leave the line unless this is so.
#[inline(always)]
pub fn expect(so: bool) -> Found<()> {
    if so {
        Ok(())
    } else {
        Err(Stop::Leave)
    }
}

/// Take what is there, or leave the line.
pub trait OrLeave<T> {
    fn or_leave(self) -> Found<T>;
}

impl<T> OrLeave<T> for Option<T> {
    #[inline(always)]
    fn or_leave(self) -> Found<T> {
        match self {
            Some(found) => Ok(found),
            None => Err(Stop::Leave),
        }
    }
}

/// Where something is.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Span {
    pub at: usize,
    pub len: usize,
}

impl Span {
    #[inline(always)]
    pub fn between(at: usize, end: usize) -> Self {
        Self { at, len: end - at }
    }

    #[inline(always)]
    pub fn end(self) -> usize {
        self.at + self.len
    }
}

/// Bytes that end a text, each sixteen times.
pub type Stops = [[u8; 16]; 4];

pub const fn stops(bytes: [u8; 4]) -> Stops {
    [[bytes[0]; 16], [bytes[1]; 16], [bytes[2]; 16], [bytes[3]; 16]]
}

const CONTROL: u8 = 31;

/// Some bytes.
#[derive(Clone, Copy)]
pub struct Text<'a>(pub &'a [u8]);

impl<'a> Text<'a> {
    /// The byte at a place; 0 where there is none.
    #[inline(always)]
    pub fn byte(self, at: usize) -> u8 {
        match self.0.get(at) {
            Some(byte) => *byte,
            None => 0,
        }
    }

    /// The sixteen bytes at a place.
    #[inline(always)]
    pub fn chunk(self, at: usize) -> Found<&'a [u8; 16]> {
        let at = at as u32 as usize; // which it is, and then no sum is too big
        self.0.get(at..at + 16).and_then(|bytes| bytes.try_into().ok()).or_leave()
    }

    /// The same as lanes, and as a number.
    #[inline(always)]
    pub fn lanes(self, at: usize) -> Found<Lanes> {
        Ok(lanes::of(self.chunk(at)?))
    }

    #[inline(always)]
    pub fn wide(self, at: usize) -> Found<u128> {
        Ok(u128::from_le_bytes(*self.chunk(at)?))
    }

    /// The first 32 bytes of a span, with zeros behind its end.
    #[inline(always)]
    pub fn words(self, span: Span) -> Found<[u64; 4]> {
        let first = self.wide(span.at)? & head(span.len);
        let second = if span.len > 16 { self.wide(span.at + 16)? & head(span.len - 16) } else { 0 };
        Ok([first as u64, (first >> 64) as u64, second as u64, (second >> 64) as u64])
    }

    /// Whether some bytes are at a place.
    #[inline(always)]
    pub fn has(self, at: usize, bytes: &[u8]) -> bool {
        self.0.get(at..at + bytes.len()) == Some(bytes)
    }

    /// Whether a span has the same bytes as another text at some place.
    #[inline(always)]
    pub fn same(self, span: Span, other: Text, place: usize) -> Found<bool> {
        if span.len > 32 {
            return self.same_long(span, other, place);
        }
        let first = (self.wide(span.at)? ^ other.wide(place)?) & head(span.len);
        let second = (self.wide(span.at + 16)? ^ other.wide(place + 16)?) & head(span.len.saturating_sub(16));
        Ok(first | second == 0)
    }

    #[inline(never)]
    fn same_long(self, span: Span, other: Text, place: usize) -> Found<bool> {
        let mut done = 0;
        while done < span.len {
            let differs = self.wide(span.at + done)? ^ other.wide(place + done)?;
            if differs & head(span.len - done) != 0 {
                return Ok(false);
            }
            done += 16;
        }
        Ok(true)
    }

    /// How many digits there are at a place; at most 16 are looked at.
    #[inline(always)]
    pub fn digits(self, at: usize) -> Found<usize> {
        let above = lanes::minus(self.lanes(at)?, lanes::splat(b'0'));
        Ok(lanes::first_not(lanes::at_most(above, lanes::splat(9))))
    }

    /// The first place from `at` on that holds one of two bytes, or a control character.
    #[inline(always)]
    pub fn until_two(self, mut at: usize, stops: &Stops) -> Found<usize> {
        loop {
            let lanes = self.lanes(at)?;
            let step = lanes::first(two_of(lanes, stops));
            at += step;
            if step < 16 {
                return Ok(at);
            }
        }
    }

    /// The same of four bytes.
    #[inline(always)]
    pub fn until_four(self, mut at: usize, stops: &Stops) -> Found<usize> {
        let [_, _, third, fourth] = stops;
        loop {
            let lanes = self.lanes(at)?;
            let others = lanes::or(lanes::same(lanes, lanes::of(third)), lanes::same(lanes, lanes::of(fourth)));
            let step = lanes::first(lanes::or(two_of(lanes, stops), others));
            at += step;
            if step < 16 {
                return Ok(at);
            }
        }
    }

    /// The same of two bytes, 64 at a time.
    #[inline(always)]
    pub fn until_far(self, mut at: usize, stops: &Stops) -> Found<usize> {
        loop {
            let from = at as u32 as usize;
            let bytes: &[u8; 64] = self.0.get(from..from + 64).and_then(|bytes| bytes.try_into().ok()).or_leave()?;
            let quarter = |n: usize| Text(bytes).lanes(16 * n).map(|lanes| two_of(lanes, stops));
            let (one, two, three, four) = (quarter(0)?, quarter(1)?, quarter(2)?, quarter(3)?);
            if lanes::bits(lanes::or(lanes::or(one, two), lanes::or(three, four))) != 0 {
                let low = lanes::bits(one) | lanes::bits(two) << 16;
                let high = lanes::bits(three) | lanes::bits(four) << 16;
                return Ok(at + (low | high << 32).trailing_zeros() as usize);
            }
            at += 64;
        }
    }

    /// The end of a line that goes on at a place: where its newline is.
    #[inline(never)]
    pub fn newline(self, mut at: usize) -> Option<usize> {
        loop {
            let step = lanes::first(lanes::same(self.lanes(at).ok()?, lanes::splat(b'\n')));
            at += step;
            if step < 16 {
                return Some(at);
            }
        }
    }

    /// The first of four bytes in a span, or the span's end.
    #[inline(always)]
    pub fn part(self, span: Span, stops: &Stops) -> Found<usize> {
        if span.len == 0 {
            return Ok(span.at);
        }
        Ok(self.until_four(span.at, stops)?.min(span.end()))
    }
}

/// Which lanes are one of the first two stops, or a control character.
#[inline(always)]
fn two_of(lanes: Lanes, stops: &Stops) -> Lanes {
    let [first, second, ..] = stops;
    let either = lanes::or(lanes::same(lanes, lanes::of(first)), lanes::same(lanes, lanes::of(second)));
    lanes::or(lanes::at_most(lanes, lanes::splat(CONTROL)), either)
}

static HEADS: [u128; 17] = {
    let mut heads = [u128::MAX; 17];
    let mut n = 0;
    while n < 16 {
        heads[n] = (1 << (8 * n)) - 1;
        n += 1;
    }
    heads
};

/// What keeps the first n of sixteen bytes.
#[inline(always)]
pub fn head(n: usize) -> u128 {
    match HEADS.get(n) {
        Some(mask) => *mask,
        None => u128::MAX,
    }
}

/// The number that the first n of sixteen digits are.
#[inline(always)]
pub fn number(digits: u128, n: usize) -> u64 {
    let values = digits ^ 0x3030_3030_3030_3030_3030_3030_3030_3030;
    if n == 0 {
        0
    } else if n <= 8 {
        eight((values as u64) << (64 - 8 * n as u32))
    } else {
        let values = values << (128 - 8 * n as u32);
        eight(values as u64) * 100_000_000 + eight((values >> 64) as u64)
    }
}

/// The number that eight values of one digit are: neighbours are put together, three times.
#[inline(always)]
fn eight(values: u64) -> u64 {
    let pairs = values.wrapping_mul(10 << 8 | 1) >> 8 & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

/// Two numbers mixed into one, as hashes want it.
#[inline(always)]
pub fn fold(one: u64, two: u64) -> u64 {
    let product = one as u128 * two as u128;
    product as u64 ^ (product >> 64) as u64
}

/// Whether some words are the same.
#[inline(always)]
pub fn alike<const N: usize>(some: &[u64; N], others: &[u64; N]) -> bool {
    some.iter().zip(others).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}
