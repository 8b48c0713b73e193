//! The instructions that read a field. Each returns where the field ends, or leaves the line.
#![forbid(unsafe_code)]

use crate::lanes;
use crate::shapes::{flag, Op};
use crate::text::{expect, head, number, Found, OrLeave, Text};

const BIG: u64 = 1 << 40;

impl Op {
    #[inline(always)]
    pub fn may(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether a text has the literal behind the field; where it ends.
    #[inline(always)]
    pub fn literal(&self, text: Text, at: usize) -> Found<usize> {
        let alike = lanes::bits(lanes::same(text.lanes(at)?, lanes::of(&self.literal)));
        expect(!alike as u32 & self.literal_bits == 0)?;
        Ok(at + self.literal_len as usize)
    }
}

/// Where the first stop or control character is. Tells of backslashes.
#[inline(always)]
pub fn until(text: Text, op: &Op, mut at: usize, escaped: &mut bool) -> Found<usize> {
    loop {
        at = if op.may(flag::WIDE) {
            text.until_far(at, &op.stops)?
        } else if op.may(flag::TWO) {
            text.until_two(at, &op.stops)?
        } else {
            text.until_four(at, &op.stops)?
        };
        if !op.may(flag::ESCAPES) || text.byte(at) != b'\\' {
            return Ok(at);
        }
        *escaped = true;
        at = after_backslash(text, at);
    }
}

/// Where to go on behind a backslash: behind what it escapes, if that is a quote or a backslash.
#[inline(always)]
pub fn after_backslash(text: Text, at: usize) -> usize {
    match text.byte(at + 1) {
        b'"' | b'\\' => at + 2,
        _ => at + 1,
    }
}

/// UNTIL: all up to a stop, but for the bytes that belong to the literal, or the number that is a field of its own.
#[inline(always)]
pub fn run(text: Text, op: &Op, from: usize, escaped: &mut bool) -> Found<usize> {
    let mut at = until(text, op, from, escaped)? - op.back as usize;
    if op.may(flag::LAST) {
        at = last(text, op, from, at)?;
    }
    expect(at >= from + op.least as usize)?;
    Ok(at)
}

/// A field whose end is not where its last byte is: `open` and a number behind it belong to the next ones, or it may not
/// end with `close`, and holds no backslash.
#[inline(never)]
fn last(text: Text, op: &Op, from: usize, mut at: usize) -> Found<usize> {
    if op.open != 0 {
        while at > from && text.byte(at - 1).is_ascii_digit() {
            at -= 1;
        }
        expect(at > from && text.byte(at - 1) == op.open)?;
        at -= 1;
    }
    if op.close != 0 {
        expect(text.byte(at - 1) != op.close && (from..at).all(|at| text.byte(at) != b'\\'))?;
    }
    Ok(at)
}

/// RANGES: bytes of some ranges.
#[inline(always)]
pub fn ranges(text: Text, op: &Op, from: usize) -> Found<usize> {
    let mut at = from;
    loop {
        let lanes = text.lanes(at)?;
        let inside = |n: usize| -> Found<_> {
            let above = lanes::minus(lanes, lanes::of(op.lows.get(n).or_leave()?));
            Ok(lanes::at_most(above, lanes::of(op.widths.get(n).or_leave()?)))
        };
        let mut any = lanes::or(inside(0)?, inside(1)?);
        if !op.may(flag::TWO) {
            any = lanes::or(any, lanes::or(inside(2)?, inside(3)?));
        }
        let step = lanes::first_not(any);
        at += step;
        if step < 16 {
            break;
        }
    }
    if at == from && op.may(flag::DASH) && text.byte(at) == b'-' {
        return Ok(at + 1);
    }
    if op.may(flag::LAST) {
        at = last(text, op, from, at)?;
    }
    let len = at - from;
    expect(len >= op.least as usize && len <= op.most as usize)?;
    expect(!op.may(flag::LETTER) || text.byte(from).is_ascii_uppercase())?;
    Ok(at)
}

/// WHOLE: a whole number. Returns where it ends, and how many of the digits before that count: none of a negative one.
#[inline(always)]
pub fn whole(text: Text, op: &Op, at: usize) -> Found<(usize, usize)> {
    let digits = text.digits(at)?;
    if digits == 0 {
        return no_digits(text, op, at);
    }
    expect(digits >= op.least as usize && digits <= op.most as usize)?;
    Ok((at + digits, digits))
}

/// The same of a number that does not begin with a digit: it has a sign, or is a dash, or nothing at all.
#[inline(always)]
fn no_digits(text: Text, op: &Op, at: usize) -> Found<(usize, usize)> {
    let sign = text.byte(at);
    if sign == b'-' && op.may(flag::DASH | flag::MINUS) {
        let digits = if op.may(flag::MINUS) { text.digits(at + 1)? } else { 0 };
        expect(digits <= op.most as usize && (digits > 0 || op.may(flag::DASH)))?;
        return Ok((at + 1 + digits, 0));
    }
    let plus = (sign == b'+' && op.may(flag::PLUS)) as usize;
    let digits = text.digits(at + plus)?;
    expect(digits >= op.least as usize && digits <= op.most as usize)?;
    Ok((at + plus + digits, digits))
}

/// DECIMAL: a number with a fraction, or without where it needs none. Returns its whole part, and its millionths.
#[inline(always)]
pub fn decimal(text: Text, op: &Op, from: usize, wanted: bool) -> Found<(usize, u64, u64)> {
    let digits = text.digits(from)?;
    if digits == 0 {
        expect(op.may(flag::DASH) && text.byte(from) == b'-')?;
        return Ok((from + 1, 0, 0));
    }
    expect(digits <= op.most as usize)?;
    let value = if wanted { number(text.wide(from)?, digits) } else { 0 };
    let (at, millionths) = fraction(text, op, from + digits, b'.', wanted)?;
    Ok((at, value, millionths))
}

/// A fraction of so many digits as it may have. Returns its millionths.
#[inline(always)]
pub fn fraction(text: Text, op: &Op, from: usize, point: u8, wanted: bool) -> Found<(usize, u64)> {
    let [least, most] = op.fraction;
    if most == 0 || (least == 0 && text.byte(from) != point) {
        return Ok((from, 0));
    }
    expect(text.byte(from) == point)?;
    let digits = text.digits(from + 1)?;
    expect(digits >= (least as usize).max(1) && digits <= most as usize)?;
    let value = if wanted { millionths(text.wide(from + 1)?, digits) } else { 0 };
    Ok((from + 1 + digits, value))
}

/// The first six of some digits, as if zeros followed them.
#[inline(always)]
pub fn millionths(digits: u128, n: usize) -> u64 {
    const ZEROS: u128 = 0x3030_3030_3030;
    let kept = head(n.min(6));
    number(digits & kept | ZEROS & !kept, 6)
}

/// A duration in microseconds. millionths: of its fraction.
#[inline(always)]
pub fn lasted(op: &Op, value: u64, millionths: u64) -> Found<u64> {
    expect(value < BIG >> 20 || (value < BIG && op.unit <= 1_000_000))?;
    Ok(value * op.unit as u64 / 1000 + millionths)
}

/// PAD: any number of spaces.
#[inline(always)]
pub fn pad(text: Text, mut at: usize) -> Found<usize> {
    loop {
        let step = lanes::first_not(lanes::same(text.lanes(at)?, lanes::splat(b' ')));
        at += step;
        if step < 16 {
            return Ok(at);
        }
    }
}

/// GROUP: what stands between two bytes, with these, if it is there at all; a dash in its place where that may be.
#[inline(always)]
pub fn group(text: Text, op: &Op, from: usize, escaped: &mut bool) -> Found<usize> {
    let spaced = op.may(flag::LAST) && text.byte(from) == b' ' && text.byte(from + 1) == op.open;
    let open = from + spaced as usize;
    if text.byte(open) != op.open {
        let dash = op.may(flag::DASH);
        expect(!dash || text.byte(from) == b'-')?;
        return Ok(from + dash as usize);
    }
    let end = until(text, op, open + 1, escaped)?;
    expect(end > open + op.least as usize)?;
    if op.close == 0 {
        return Ok(end);
    }
    expect(text.byte(end) == op.close)?;
    Ok(end + 1)
}
