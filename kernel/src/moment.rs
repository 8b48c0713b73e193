//! TIME: dates and times as text. The caller reads each minute once; the seconds in it are read here.
#![forbid(unsafe_code)]

use crate::kernel::Kernel;
use crate::shapes::{answer, Minute, Op, ZONE};
use crate::text::{alike, expect, fold, Found, OrLeave, Stop, Text};

const MICROSECONDS: i64 = 1_000_000;

impl Kernel<'_> {
    /// Where a time ends, and its microseconds.
    #[inline(always)]
    pub fn moment(&mut self, op: &Op, from: usize) -> Found<(usize, i64)> {
        let text = self.text;
        let at = from + op.most as usize;
        let (at, millionths) =
            if op.fraction == [0; 2] { (at, 0) } else { crate::fields::fraction(text, op, at, op.open, true)? };
        let tail = tail(text, op, at)?;
        let whole = written(text, op, from, at, tail)?;
        let time = match self.state.clocks.get(op.clock as usize) {
            Some(clock) if alike(&clock.whole, &whole) => clock.time,
            _ => self.read(op, from, whole)?,
        };
        Ok((at + tail, time + millionths as i64))
    }

    /// The microseconds of a time that was not the last one.
    #[inline(never)]
    fn read(&mut self, op: &Op, from: usize, whole: [u64; 5]) -> Found<i64> {
        let seconds = seconds(self.text, from + op.seconds as usize)?;
        let mut minute = whole;
        for (word, mask) in minute.iter_mut().zip(op.minute_mask) {
            *word &= mask;
        }
        let known = self.minute(op, from, minute)?;
        expect(known >= 0)?;
        let clock = self.state.clocks.get_mut(op.clock as usize).or_leave()?;
        clock.whole = whole;
        clock.time = known + seconds;
        Ok(clock.time)
    }

    /// The microseconds of a minute's beginning.
    fn minute(&mut self, op: &Op, from: usize, minute: [u64; 5]) -> Found<i64> {
        let clock = self.state.clocks.get_mut(op.clock as usize).or_leave()?;
        if alike(&clock.minute, &minute) {
            return Ok(clock.minute_time);
        }
        let hash = minute.iter().fold(self.state.seed, |hash, word| fold(hash ^ word, 0x9E37_79B9_7F4A_7C15));
        let place = hash as usize & (self.minutes.len() - 1);
        let known = self.minutes.get_mut(place).or_leave()?;
        if !alike(&known.text, &minute) {
            *known = Minute { text: minute, time: -1 };
            self.state.asked_clock = op.clock as u64;
            return Err(self.ask(answer::MINUTE, place, from));
        }
        (clock.minute, clock.minute_time) = (minute, known.time);
        Ok(known.time)
    }

    /// Ask the caller about something, and read the line again when it has answered.
    pub fn ask(&mut self, answer: u32, number: usize, at: usize) -> Stop {
        (self.state.asked, self.state.asked_at) = (number, at);
        Stop::Answer(answer)
    }
}

/// How long what follows the fraction is.
#[inline(always)]
fn tail(text: Text, op: &Op, at: usize) -> Found<usize> {
    if op.tail != ZONE {
        return Ok(op.tail as usize);
    }
    match text.byte(at) {
        b'Z' => Ok(1),
        b'+' | b'-' => Ok(6),
        _ => Err(Stop::Leave),
    }
}

/// A time as written, without its fraction: the first and the last sixteen bytes before that, and what follows it.
#[inline(always)]
fn written(text: Text, op: &Op, from: usize, at: usize, tail: usize) -> Found<[u64; 5]> {
    let (first, last) = (text.wide(from)?, text.wide(from + op.most as usize - 16)?);
    let zone = if tail == 0 { 0 } else { text.wide(at)? & crate::text::head(tail) };
    Ok([first as u64, (first >> 64) as u64, last as u64, (last >> 64) as u64, zone as u64])
}

/// The microseconds of two digits of seconds.
fn seconds(text: Text, at: usize) -> Found<i64> {
    let (tens, ones) = (text.byte(at).wrapping_sub(b'0'), text.byte(at + 1).wrapping_sub(b'0'));
    expect(tens < 6 && ones < 10)?;
    Ok((tens as i64 * 10 + ones as i64) * MICROSECONDS)
}
