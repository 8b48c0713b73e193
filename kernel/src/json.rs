//! OBJECT: a line that is a JSON object, whose members may stand in any order.
//!
//! A server writes its lines alike, so each is compared with those that were read before: what stands between values is
//! compared sixteen bytes at a time, and a value is read as one of its kind was. These ways are kept as a tree, whose
//! steps branch where lines differed. A line that goes no known way is read by the rules of JSON, member by member, and
//! is a new way from then on. Where the names of members are the same, so is what was found out about them: that all that
//! are needed are there, and none twice.
//!
//! Objects and arrays that are of no interest are one value each: the order of what is in them is often by chance.
#![forbid(unsafe_code)]

use crate::fields::{lasted, millionths};
use crate::kernel::{Kernel, Line};
use crate::lanes;
use crate::shapes::{flag, kind, role, way, Op, Step, HOSTS};
use crate::text::{expect, head, number, stops, Found, OrLeave, Span, Stop, Stops, Text};

const ENDS: Stops = stops([b'"', b'\\', b'"', b'"']);
const DEEPEST: u32 = 32;
const INSIDE: usize = 8;
const LITERAL: usize = 32;
const SIBLINGS: usize = 16;
const LONG: usize = 24;
const MISSES: u64 = 1024;
const SECONDS: u64 = 1_000_000_000;

/// A walk through a line by the rules of JSON. step: the last step of its way, while that is learnt; done: how far that
/// goes. seen: a bit for each member.
struct Walk {
    step: usize,
    learns: bool,
    done: usize,
    seen: u64,
}

impl Kernel<'_> {
    /// Read an object. Returns where it ends.
    pub fn object(&mut self, op: &Op, from: usize, line: &mut Line) -> Found<usize> {
        self.forget_spans(from, line);
        match self.follow(op.least as usize, from, line)? {
            Some(end) => Ok(end),
            None => {
                self.forget_spans(from, line);
                (line.size, line.lasted) = (0, 0);
                self.walk(op, from, line)
            }
        }
    }

    /// What a line does not have is empty.
    #[inline(always)]
    fn forget_spans(&self, from: usize, line: &mut Line) {
        for role in role::WORD..role::HOST + HOSTS as u8 {
            line.note(role, Span { at: from, len: 0 });
        }
    }

    // ----------------------------------------------------------------------------------------------------------------
    // Known ways

    /// Go a known way. members: the number of the first member's instruction. Returns where the object ends, if it goes one.
    #[inline(never)]
    fn follow(&mut self, members: usize, from: usize, line: &mut Line) -> Found<Option<usize>> {
        let text = self.text;
        let mut number = self.steps.first().or_leave()?.next as usize;
        let mut at = from;
        while number != 0 {
            let step = self.steps.get(number).or_leave()?;
            if !step.is_at(text, at)? {
                number = step.other as usize;
                continue;
            }
            let behind = at + step.len as usize;
            let (next, other) = (step.next as usize, step.other as usize);
            let end = match step.kind {
                way::TEXT => text_end(text, behind, false),
                way::FAR => text_end(text, behind, true),
                way::NUMBER => digits_and_more(text, behind),
                way::INSIDE => inside(text, behind - 1),
                way::MEMBER => {
                    let member = members + step.member as usize;
                    Ok(self.value(member, behind, line)?)
                }
                way::END => return Ok(Some(behind)),
                _ => Ok(behind),
            };
            match end {
                Ok(end) => (at, number) = (end, next),
                Err(_) => number = other,
            }
        }
        Ok(None)
    }

    /// Add a step to a way, or go the one that is the same. Returns its number; nothing where there is no room.
    fn step(&mut self, after: usize, made: &Step) -> Option<usize> {
        let mut last = 0;
        let mut number = self.steps.get(after)?.next as usize;
        for _ in 0..SIBLINGS {
            if number == 0 {
                return self.new_step(after, last, made);
            }
            let step = self.steps.get(number)?;
            if step.len == made.len && step.literal == made.literal && step.member == made.member {
                return Some(number);
            }
            last = number;
            number = step.other as usize;
        }
        None
    }

    fn new_step(&mut self, after: usize, last: usize, made: &Step) -> Option<usize> {
        let number = self.state.steps.max(1);
        *self.steps.get_mut(number)? = *made;
        self.state.steps = number + 1;
        if last == 0 {
            self.steps.get_mut(after)?.next = number as u32;
        } else {
            self.steps.get_mut(last)?.other = number as u32;
        }
        Some(number)
    }

    /// Note what stands between the end of the last value and the beginning of the next, and what kind of value that is.
    fn learn(&mut self, walk: &mut Walk, to: usize, kind: u32, member: usize) -> Found<()> {
        while walk.learns {
            let len = (to - walk.done).min(LITERAL);
            let last = walk.done + len == to;
            let bytes = (1 << len) - 1;
            let half = |at: usize, len: usize| Ok((self.text.wide(at)? & head(len)).to_le_bytes());
            let literal = [half(walk.done, len)?, half(walk.done + 16, len.saturating_sub(16))?];
            let (kind, member) = if last { (kind, member as u32) } else { (way::MORE, 0) };
            let made = Step { literal, bytes, len: len as u32, kind, member, next: 0, other: 0, reserved: 0 };
            match self.step(walk.step, &made) {
                Some(step) => walk.step = step,
                None => walk.learns = false,
            }
            walk.done += len;
            if last {
                break;
            }
        }
        Ok(())
    }

    // ----------------------------------------------------------------------------------------------------------------
    // Unknown ways

    /// Read an object by the rules of JSON, and learn its way.
    #[inline(never)]
    fn walk(&mut self, op: &Op, from: usize, line: &mut Line) -> Found<usize> {
        self.state.misses += 1;
        if self.state.misses > MISSES {
            (self.state.misses, self.state.steps) = (0, 0);
            self.steps.first_mut().or_leave()?.next = 0;
        }
        let mut walk = Walk { step: 0, learns: true, done: from, seen: 0 };
        let mut inside = [0_u8; INSIDE];
        let mut depth = 0;
        let text = self.text;
        let mut at = one(text, from, b'{')?;
        let mut empty = true;
        loop {
            at = blank(text, at);
            if text.byte(at) == b'}' && empty {
                empty = false;
            } else {
                let name = Span::between(one(text, at, b'"')?, text_end(text, at + 1, false)?);
                let within = *inside.get(depth).or_leave()?;
                at = blank(text, one(text, blank(text, one(text, name.end(), b'"')?), b':')?);
                let member = self.member(op, within, name)?;
                expect(member == 0 || walk.seen & bit(member) == 0)?;
                walk.seen |= bit(member);
                if member != 0 && self.is_object(op, member) {
                    depth += 1;
                    *inside.get_mut(depth).or_leave()? = member;
                    at = one(text, at, b'{')?;
                    empty = true;
                    continue;
                }
                empty = false;
                at = self.member_value(op, &mut walk, member as usize, at, line)?;
            }
            loop {
                at = blank(text, at);
                if text.byte(at) == b',' {
                    at += 1;
                    break;
                }
                at = one(text, at, b'}')?;
                if depth == 0 {
                    expect(walk.seen & op.needed() == op.needed())?;
                    self.learn(&mut walk, at, way::END, 0)?;
                    return Ok(at);
                }
                depth -= 1;
            }
        }
    }

    /// The number of the member that a name is within another one; 0 for none that is wanted.
    fn member(&self, op: &Op, within: u8, name: Span) -> Found<u8> {
        expect(!(name.at..name.end()).any(|at| self.text.byte(at) == b'\\'))?;
        for number in 1..=op.most as usize {
            let member = self.ops.get(op.least as usize + number).or_leave()?;
            if member.back == within && member.is_named(self.text, name) {
                return Ok(number as u8);
            }
        }
        Ok(0)
    }

    fn is_object(&self, op: &Op, member: u8) -> bool {
        matches!(self.ops.get(op.least as usize + member as usize), Some(member) if member.kind == kind::OBJECT)
    }

    /// Read the value of a member. member: its number, 0 for one that is of no interest. Returns where it ends.
    fn member_value(&mut self, op: &Op, walk: &mut Walk, member: usize, at: usize, line: &mut Line) -> Found<usize> {
        let text = self.text;
        let first = text.byte(at);
        let quoted = first == b'"';
        let begun = at + quoted as usize;
        if member != 0 {
            self.learn(walk, begun, way::MEMBER, member)?;
            let end = self.value(op.least as usize + member, begun, line)?;
            walk.done = end;
            return if quoted { one(text, end, b'"') } else { Ok(end) };
        }
        match first {
            b'"' => {
                let end = text_end(text, begun, false)?;
                self.learn(walk, begun, if end - begun < LONG { way::TEXT } else { way::FAR }, 0)?;
                walk.done = end;
                one(text, end, b'"')
            }
            b'{' | b'[' => {
                self.learn(walk, at + 1, way::INSIDE, 0)?;
                walk.done = inside(text, at)?;
                Ok(walk.done)
            }
            b'-' | b'0'..=b'9' => {
                self.learn(walk, at, way::NUMBER, 0)?;
                walk.done = digits_and_more(text, at)?;
                Ok(walk.done)
            }
            _ => word(text, at),
        }
    }

    // ----------------------------------------------------------------------------------------------------------------
    // Values that are wanted

    /// Read a value by its member's instruction. at: behind its quote, if it has one. Returns where it ends.
    #[inline(never)]
    fn value(&mut self, member: usize, at: usize, line: &mut Line) -> Found<usize> {
        let ops = self.ops;
        let op = ops.get(member).or_leave()?;
        let quoted = self.text.byte(at - 1) == b'"';
        match op.kind {
            kind::UNTIL => self.words(op, at, quoted, line),
            kind::WHOLE => {
                let (end, value) = whole(self.text, at)?;
                line.size += if op.role == role::SIZE { value } else { 0 };
                Ok(end)
            }
            kind::DECIMAL if op.role != role::MOMENT => self.duration(op, at, quoted, line),
            kind::TIME if quoted && (!op.may(flag::PLUS) || self.text.byte(at + 4) == b'-') => {
                let (end, time) = self.moment(op, at)?;
                line.time = time;
                Ok(end)
            }
            kind::TIME => {
                expect(op.may(flag::PLUS))?;
                self.instant(op, at, line)
            }
            _ => self.instant(op, at, line),
        }
    }

    /// A text. Where it matters what an escape stands for, the line is left.
    #[inline(always)]
    fn words(&self, op: &Op, at: usize, quoted: bool, line: &mut Line) -> Found<usize> {
        let text = self.text;
        if !quoted {
            let end = word(text, at)?;
            expect(end - at == 4 + (text.byte(at) == b'f') as usize && text.byte(at) != b'n')?;
            line.note(op.role, Span::between(at, end));
            return Ok(end);
        }
        let mut end = if op.may(flag::WIDE) { text.until_far(at, &ENDS)? } else { text.until_two(at, &ENDS)? };
        if text.byte(end) == b'\\' {
            expect(op.role == 0 || (op.role == role::URI && (at..end).any(|at| text.byte(at) == b'?')))?;
            end = escapes(text, end)?;
        }
        line.note(op.role, Span::between(at, end));
        Ok(end)
    }

    /// A duration. Its unit may stand behind it.
    #[inline(always)]
    fn duration(&self, op: &Op, at: usize, quoted: bool, line: &mut Line) -> Found<usize> {
        let (mut end, value, rest) = decimal(self.text, at)?;
        if quoted && op.literal_len != 0 {
            end = op.literal(self.text, end).unwrap_or(end);
        }
        let took = lasted(op, value, rest * op.unit as u64 / SECONDS)?;
        line.lasted = if op.role == role::LASTED { took } else { line.lasted };
        Ok(end)
    }

    /// A time as a number. Without a unit its digits show it.
    #[inline(always)]
    fn instant(&self, op: &Op, at: usize, line: &mut Line) -> Found<usize> {
        let digits = self.text.digits(at)?;
        if digits == 16 && op.unit <= 1 && self.text.digits(at + 16)? == 3 {
            line.time = number(self.text.wide(at)?, 16) as i64;
            return Ok(at + 19);
        }
        let (unit, most) = match op.unit {
            0 if digits <= 10 => (SECONDS, 10),
            0 if digits <= 13 => (1_000_000, 13),
            0 => (1000, 15),
            1_000_000_000 => (SECONDS, 10),
            1_000_000 => (1_000_000, 13),
            1000 => (1000, 15),
            _ => return Err(Stop::Leave),
        };
        expect(digits <= most)?;
        let (end, value, rest) = decimal(self.text, at)?;
        line.time = (value * (unit / 1000) + rest * unit / SECONDS) as i64;
        Ok(end)
    }
}

impl Step {
    /// Whether a text has the step's literal.
    #[inline(always)]
    fn is_at(&self, text: Text, at: usize) -> Found<bool> {
        let bytes: &[u8; 32] = text.0.get(at..at + 32).and_then(|bytes| bytes.try_into().ok()).or_leave()?;
        let half = |n: usize| Ok(lanes::same(Text(bytes).lanes(16 * n)?, lanes::of(self.literal.get(n).or_leave()?)));
        let alike = lanes::bits(half(0)?) | lanes::bits(half(1)?) << 16;
        Ok(!alike & self.bytes == 0)
    }
}

impl Op {
    /// OBJECT: a bit for each member that is needed.
    fn needed(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.literal;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// Whether a member has a name.
    fn is_named(&self, text: Text, name: Span) -> bool {
        let mut named = self.lows.iter().flatten();
        name.len == self.least as usize && (name.at..name.end()).all(|at| named.next() == Some(&text.byte(at)))
    }
}

fn bit(member: u8) -> u64 {
    (1 << (member & 63)) & !1
}

fn one(text: Text, at: usize, wanted: u8) -> Found<usize> {
    expect(text.byte(at) == wanted)?;
    Ok(at + 1)
}

#[inline(always)]
fn blank(text: Text, mut at: usize) -> usize {
    while matches!(text.byte(at), b' ' | b'\t') {
        at += 1;
    }
    at
}

// --------------------------------------------------------------------------------------------------------------------
// The rules of JSON

/// Where a text ends: where its quote is. far: it is mostly long.
#[inline(always)]
fn text_end(text: Text, at: usize, far: bool) -> Found<usize> {
    let at = if far { text.until_far(at, &ENDS)? } else { text.until_two(at, &ENDS)? };
    match text.byte(at) {
        b'"' => Ok(at),
        b'\\' => escapes(text, at),
        _ => Err(Stop::Leave),
    }
}

/// The same of a text with escapes, from the first of these on.
#[inline(never)]
fn escapes(text: Text, mut at: usize) -> Found<usize> {
    while text.byte(at) == b'\\' {
        at = match text.byte(at + 1) {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at + 2,
            b'u' => {
                expect((at + 2..at + 6).all(|at| text.byte(at).is_ascii_hexdigit()))?;
                at + 6
            }
            _ => return Err(Stop::Leave),
        };
        at = text.until_two(at, &ENDS)?;
    }
    expect(text.byte(at) == b'"')?;
    Ok(at)
}

/// Where some digits end, of which there has to be one.
#[inline(always)]
fn run(text: Text, from: usize) -> Found<usize> {
    let mut at = from;
    loop {
        let digits = text.digits(at)?;
        at += digits;
        if digits < 16 {
            expect(at > from)?;
            return Ok(at);
        }
    }
}

/// Where a number ends.
#[inline(always)]
fn digits_and_more(text: Text, from: usize) -> Found<usize> {
    let begun = from + (text.byte(from) == b'-') as usize;
    let mut at = run(text, begun)?;
    expect(text.byte(begun) != b'0' || at == begun + 1)?;
    if text.byte(at) == b'.' {
        at = run(text, at + 1)?;
    }
    if text.byte(at) | 32 == b'e' {
        at += 1 + matches!(text.byte(at + 1), b'+' | b'-') as usize;
        at = run(text, at)?;
    }
    Ok(at)
}

/// true, false or null.
fn word(text: Text, at: usize) -> Found<usize> {
    match text.byte(at) {
        b't' if text.has(at, b"true") => Ok(at + 4),
        b'f' if text.has(at, b"false") => Ok(at + 5),
        b'n' if text.has(at, b"null") => Ok(at + 4),
        _ => Err(Stop::Leave),
    }
}

/// A whole number as it is written in most lines, and its value.
#[inline(always)]
fn whole(text: Text, at: usize) -> Found<(usize, u64)> {
    let digits = text.digits(at)?;
    expect((1..16).contains(&digits) && (digits == 1 || text.byte(at) != b'0'))?;
    Ok((at + digits, number(text.wide(at)?, digits)))
}

/// The same with a fraction, and the millionths of that.
#[inline(always)]
fn decimal(text: Text, at: usize) -> Found<(usize, u64, u64)> {
    let (at, value) = whole(text, at)?;
    if text.byte(at) != b'.' {
        return Ok((at, value, 0));
    }
    let digits = text.digits(at + 1)?;
    expect((1..16).contains(&digits))?;
    Ok((at + 1 + digits, value, millionths(text.wide(at + 1)?, digits)))
}

/// Where an object or array ends, of which nothing is wanted. Most are objects of texts, or of lists of one text each.
#[inline(never)]
fn inside(text: Text, from: usize) -> Found<usize> {
    let mut at = from;
    loop {
        if !(text.has(at, b"{\"") || (at > from && text.has(at, b",\""))) {
            return skip(text, from);
        }
        let name = text.until_two(at + 2, &ENDS)?;
        let list = text.has(name, b"\":[\"");
        if !list && !text.has(name, b"\":\"") {
            return skip(text, from);
        }
        let end = text_end(text, name + 3 + list as usize, false)?;
        at = end + 1;
        if list {
            if text.byte(at) != b']' {
                return skip(text, from);
            }
            at += 1;
        }
        if text.byte(at) == b'}' {
            return Ok(at + 1);
        }
    }
}

/// The same of any.
#[inline(never)]
fn skip(text: Text, mut at: usize) -> Found<usize> {
    let (mut objects, mut depth) = (0_u64, 0);
    loop {
        match text.byte(at) {
            b'"' => at = text_end(text, at + 1, false)? + 1,
            open @ (b'{' | b'[') => {
                at = blank(text, at + 1);
                if text.byte(at) != open + 2 {
                    depth += 1;
                    expect(depth <= DEEPEST)?;
                    objects = objects << 1 | (open == b'{') as u64;
                    at = if open == b'{' { name(text, at)? } else { at };
                    continue;
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => at = digits_and_more(text, at)?,
            _ => at = word(text, at)?,
        }
        loop {
            if depth == 0 {
                return Ok(at);
            }
            at = blank(text, at);
            if text.byte(at) == b',' {
                at = blank(text, at + 1);
                at = if objects & 1 == 1 { name(text, at)? } else { at };
                break;
            }
            at = one(text, at, if objects & 1 == 1 { b'}' } else { b']' })?;
            depth -= 1;
            objects >>= 1;
        }
    }
}

/// Where a member's value begins, whose name begins at a place.
#[inline(always)]
fn name(text: Text, at: usize) -> Found<usize> {
    let end = text_end(text, one(text, at, b'"')?, false)?;
    Ok(blank(text, one(text, blank(text, end + 1), b':')?))
}
