//! Members of a JSON object that are of no interest. As in the reference, objects hold scalars, arrays of scalars, and
//! objects of these.
#![forbid(unsafe_code)]

use crate::fields::after_backslash;
use crate::prefix::word;
use crate::shapes::Op;
use crate::text::{expect, stops, Found, Stop, Stops, Text};

const QUOTE: Stops = stops([b'"', b'"', b'"', b'"']);
const ESCAPED: Stops = stops([b'"', b'\\', b'"', b'"']);
const MEMBERS: usize = 99;
const ELEMENTS: usize = 1000;

/// A reader of JSON. escapes: a backslash escapes a quote or a backslash.
pub struct Json<'a> {
    pub text: Text<'a>,
    pub escapes: bool,
}

impl Json<'_> {
    /// MEMBERS: members, each with a comma behind it, before the first place that has the literal.
    pub fn members(&self, op: &Op, mut at: usize) -> Found<usize> {
        for _ in 0..=MEMBERS {
            if op.literal(self.text, at).is_ok() {
                return Ok(at);
            }
            at = self.byte(self.member(at)?, b',')?;
        }
        Err(Stop::Leave)
    }

    /// MORE: members, each with a comma before it, as many as there are.
    pub fn more(&self, mut at: usize) -> Found<usize> {
        let mut count = 0;
        while self.text.byte(at) == b',' {
            at = self.member(at + 1)?;
            count += 1;
            expect(count <= MEMBERS)?;
        }
        Ok(at)
    }

    fn byte(&self, at: usize, wanted: u8) -> Found<usize> {
        expect(self.text.byte(at) == wanted)?;
        Ok(at + 1)
    }

    fn member(&self, at: usize) -> Found<usize> {
        let at = self.byte(self.string(at)?, b':')?;
        match self.text.byte(at) {
            b'{' => self.list(at + 1, b'}', Self::flat),
            _ => self.value(at),
        }
    }

    fn flat(&self, at: usize) -> Found<usize> {
        self.value(self.byte(self.string(at)?, b':')?)
    }

    fn value(&self, at: usize) -> Found<usize> {
        match self.text.byte(at) {
            b'[' => self.list(at + 1, b']', Self::scalar),
            _ => self.scalar(at),
        }
    }

    /// Elements with commas between them, up to a bracket.
    #[inline(always)]
    fn list(&self, mut at: usize, close: u8, element: fn(&Self, usize) -> Found<usize>) -> Found<usize> {
        if self.text.byte(at) == close {
            return Ok(at + 1);
        }
        for _ in 0..ELEMENTS {
            at = element(self, at)?;
            if self.text.byte(at) == close {
                return Ok(at + 1);
            }
            at = self.byte(at, b',')?;
        }
        Err(Stop::Leave)
    }

    fn scalar(&self, from: usize) -> Found<usize> {
        if self.text.byte(from) == b'"' {
            return self.string(from);
        }
        let mut at = from;
        while word(self.text.byte(at)) || matches!(self.text.byte(at), b'.' | b'+' | b'-') {
            at += 1;
        }
        expect(at > from)?;
        Ok(at)
    }

    #[inline(always)]
    fn string(&self, at: usize) -> Found<usize> {
        let mut at = self.byte(at, b'"')?;
        let ends = if self.escapes { &ESCAPED } else { &QUOTE };
        loop {
            at = self.text.until_two(at, ends)?;
            if self.text.byte(at) != b'\\' || !self.escapes {
                return self.byte(at, b'"');
            }
            at = after_backslash(self.text, at);
        }
    }
}
