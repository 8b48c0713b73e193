//! The way through the lines: each is read by the program's instructions, and counted.
#![forbid(unsafe_code)]

use crate::entries::Hosts;
use crate::fields;
use crate::prefix;
use crate::shapes::{
    answer, kind, option, role, Cell, Entry, Group, Left, Minute, Node, Op, Spans, State, Step, Word, HOSTS, ROLES,
};
use crate::text::{expect, number, Found, OrLeave, Span, Stop, Text};

const LONGEST_LINE: usize = 2 << 20;

/// All that the caller lends, for one call.
pub struct Kernel<'a> {
    pub text: Text<'a>,
    pub ops: &'a [Op],
    pub nodes: &'a [Node],
    pub groups: &'a [Group],
    pub heads: &'a mut [u32],
    pub table: &'a mut [u32],
    pub entries: &'a mut [Entry],
    pub arena: &'a mut [u8],
    pub cells: &'a mut [Cell],
    pub words: &'a mut [Word],
    pub minutes: &'a mut [Minute],
    pub left: &'a mut [Left],
    pub steps: &'a mut [Step],
    pub state: &'a mut State,
}

/// What is found in a line. spans: of the fields with each role. escaped: it holds backslashes.
pub struct Line<'a> {
    pub time: i64,
    pub size: u64,
    pub lasted: u64,
    pub escaped: bool,
    spans: &'a mut Spans,
}

impl Line<'_> {
    #[inline(always)]
    pub fn span(&self, role: u8) -> Span {
        self.spans.get(role as usize).copied().unwrap_or_default()
    }

    /// The hosts, in their order of precedence.
    #[inline(always)]
    pub fn hosts(&self) -> Found<&Hosts> {
        const FIRST: usize = role::HOST as usize;
        self.spans.get(FIRST..FIRST + HOSTS).and_then(|hosts| hosts.try_into().ok()).or_leave()
    }

    #[inline(always)]
    pub fn note(&mut self, role: u8, span: Span) {
        if let Some(noted) = self.spans.get_mut(role as usize % ROLES) {
            *noted = span;
        }
    }
}

impl Kernel<'_> {
    /// Count lines until all are read, or the caller is needed.
    pub fn run(&mut self, spans: &mut Spans) -> u32 {
        let mut line = Line { time: 0, size: 0, lasted: 0, escaped: false, spans };
        while self.state.pos < self.state.end {
            let mut from = self.state.pos;
            let next = loop {
                match self.line(from, &mut line) {
                    Ok(next) => break next,
                    Err(Stop::Answer(why)) => return why,
                    Err(Stop::Leave) => from = self.unwrapped(from),
                }
                if from == self.state.pos {
                    match self.leave(from) {
                        Ok(next) => break next,
                        Err(why) => return why,
                    }
                }
            };
            self.state.pos = next;
            self.state.line += 1;
        }
        answer::DONE
    }

    /// Where a line begins behind what others put before it; where it is read again from its beginning there is nothing.
    #[inline(never)]
    fn unwrapped(&self, from: usize) -> usize {
        if from != self.state.pos || self.state.options & option::WRAPPED == 0 {
            return self.state.pos;
        }
        prefix::wrapped(self.text, from).unwrap_or(from)
    }

    /// Leave a line to the caller. Returns where the next one begins.
    #[inline(never)]
    fn leave(&mut self, start: usize) -> Result<usize, u32> {
        let end = self.text.newline(start).ok_or(answer::BAD)?;
        let left = self.left.get_mut(self.state.left).ok_or(answer::FULL)?;
        *left = Left { start: start as u64, end: end as u64, line: self.state.line };
        self.state.left += 1;
        Ok(end + 1)
    }

    /// Read one line, and count it. Returns where the next one begins.
    #[inline(always)]
    fn line(&mut self, start: usize, line: &mut Line) -> Found<usize> {
        let mut at = start;
        (line.size, line.lasted, line.escaped) = (0, 0, false);
        let ops = self.ops;
        for op in ops {
            let from = at;
            at = match op.kind {
                kind::LITERAL => at,
                kind::UNTIL => fields::run(self.text, op, at, &mut line.escaped)?,
                kind::RANGES => fields::ranges(self.text, op, at)?,
                kind::WHOLE => self.whole(op, at, line)?,
                kind::DECIMAL => self.decimal(op, at, line)?,
                kind::TIME => {
                    let (at, time) = self.moment(op, at)?;
                    line.time = if op.role == role::MOMENT { time } else { line.time };
                    at
                }
                kind::PAD => fields::pad(self.text, at)?,
                kind::GROUP => fields::group(self.text, op, at, &mut line.escaped)?,
                kind::OBJECT => self.object(op, at, line)?,
                kind::END => return self.end(start, at, line),
                _ => self.rare(op, at)?,
            };
            if op.role != 0 {
                line.note(op.role, Span::between(from, at));
            }
            if op.literal_len != 0 {
                at = op.literal(self.text, at)?;
            }
        }
        Err(Stop::Leave)
    }

    #[inline(always)]
    fn whole(&self, op: &Op, at: usize, line: &mut Line) -> Found<usize> {
        let (at, digits) = fields::whole(self.text, op, at)?;
        if op.role != 0 {
            let value = number(self.text.wide(at - digits)?, digits);
            match op.role {
                role::SIZE => line.size += value,
                role::LASTED => line.lasted = fields::lasted(op, value, 0)?,
                _ => {}
            }
        }
        Ok(at)
    }

    #[inline(always)]
    fn decimal(&self, op: &Op, at: usize, line: &mut Line) -> Found<usize> {
        let wanted = op.role == role::MOMENT || op.role == role::LASTED;
        let (at, value, millionths) = fields::decimal(self.text, op, at, wanted)?;
        match op.role {
            role::MOMENT => line.time = (value * op.unit as u64 + millionths) as i64,
            role::LASTED => line.lasted = fields::lasted(op, value, millionths)?,
            _ => {}
        }
        Ok(at)
    }

    /// The instructions that few formats have.
    #[inline(never)]
    fn rare(&self, op: &Op, at: usize) -> Found<usize> {
        match op.kind {
            kind::SYSLOG => prefix::syslog(self.text, at),
            kind::CONTAINER => prefix::container(self.text, at),
            _ => Err(Stop::Leave),
        }
    }

    /// END: the line has to end here.
    #[inline(always)]
    fn end(&mut self, start: usize, at: usize, line: &mut Line) -> Found<usize> {
        let at = at + (self.text.byte(at) == b'\r') as usize;
        expect(self.text.byte(at) == b'\n' && at - start <= LONGEST_LINE)?;
        self.count(line)?;
        Ok(at + 1)
    }
}
