//! Known hosts and words: each distinct one is looked at once by the caller, and then known by its bytes.
#![forbid(unsafe_code)]

use crate::kernel::Kernel;
use crate::shapes::{answer, option, Entry, HOSTS, NONE};
use crate::text::{alike, expect, fold, head, Found, OrLeave, Span, Stop, Text};

const LONGEST_WORD: usize = 32;
const LONGEST_HOST: usize = 255;
const PROBES: usize = 64;
const WORD_PROBES: usize = 8;
const MIXERS: [u64; 5] =
    [0xA076_1D64_78BD_642F, 0xE703_7ED1_A0B4_28DB, 0x8EBC_6AF0_9C88_C6E3, 0x5899_65CC_7537_4CC3, 0x1D8E_4E27_C47D_124F];

pub type Hosts = [Span; HOSTS];

impl Kernel<'_> {
    /// Whether the cache's word means a hit: 1 or 0.
    #[inline(always)]
    pub fn hit(&mut self, span: Span) -> Found<usize> {
        if self.state.options & option::HITS == 0 {
            return Ok(0);
        }
        expect(span.len <= LONGEST_WORD)?;
        let first = self.text.wide(span.at)? & head(span.len);
        let second = self.text.wide(span.at + 16)? & head(span.len.saturating_sub(16));
        let text = [first as u64, (first >> 64) as u64, second as u64, (second >> 64) as u64];
        let mixed = text[0] ^ text[1] ^ text[2] ^ text[3] ^ span.len as u64;
        let hash = fold(mixed, self.state.seed | 1) as usize;
        for probe in 0..WORD_PROBES {
            let place = hash.wrapping_add(probe) & (self.words.len() - 1);
            let word = self.words.get_mut(place).or_leave()?;
            if word.len == span.len as u32 && alike(&word.text, &text) {
                return Ok((word.hit & 1) as usize);
            }
            if word.len == NONE {
                (word.len, word.hit, word.text) = (span.len as u32, 0, text);
                return Err(self.ask(answer::WORD, place, span.at));
            }
        }
        Err(Stop::Leave)
    }

    /// The number of the entry of a line's hosts, made where there is none.
    #[inline(always)]
    pub fn entry(&mut self, hosts: &Hosts) -> Found<usize> {
        let count = self.state.hosts as usize;
        let mut hash = self.state.seed;
        for host in hosts.iter().take(count) {
            hash = self.hash(*host, hash)?;
        }
        let mask = self.table.len() - 1;
        let mut place = hash as usize & mask;
        for _ in 0..PROBES {
            let number = *self.table.get(place).or_leave()? as usize;
            if number == 0 {
                return self.new_entry(hosts, hash, place);
            }
            let entry = self.entries.get(number - 1).or_leave()?;
            if entry.hash == hash && self.is_of(entry, hosts, count)? {
                return Ok(number - 1);
            }
            place = (place + 1) & mask;
        }
        Err(Stop::Leave)
    }

    #[inline(always)]
    fn hash(&self, span: Span, before: u64) -> Found<u64> {
        expect(span.len <= LONGEST_HOST)?;
        let seed = self.state.seed;
        let mut hash = before ^ (span.len as u64).wrapping_mul(MIXERS[0]);
        let mut done = 0;
        loop {
            let rest = span.len - done;
            let first = self.text.wide(span.at + done)? & head(rest);
            let second = self.text.wide(span.at + done + 16)? & head(rest.saturating_sub(16));
            let one = fold(first as u64 ^ MIXERS[1] ^ hash, (first >> 64) as u64 ^ MIXERS[2] ^ seed);
            let two = fold(second as u64 ^ MIXERS[3] ^ hash, (second >> 64) as u64 ^ MIXERS[4] ^ seed);
            hash = fold(one ^ seed, two ^ MIXERS[0]);
            if rest <= 32 {
                return Ok(hash);
            }
            done += 32;
        }
    }

    /// Whether an entry is that of some hosts.
    #[inline(always)]
    fn is_of(&self, entry: &Entry, hosts: &Hosts, count: usize) -> Found<bool> {
        let mut place = entry.offset as usize;
        for (host, len) in hosts.iter().zip(entry.lengths).take(count) {
            if len as usize != host.len || !self.text.same(*host, Text(self.arena), place)? {
                return Ok(false);
            }
            place += host.len;
        }
        Ok(true)
    }

    #[inline(never)]
    fn new_entry(&mut self, hosts: &Hosts, hash: u64, place: usize) -> Found<usize> {
        let (number, offset) = (self.state.entries, self.state.arena);
        let len: usize = hosts.iter().map(|host| host.len).sum();
        if number >= self.entries.len() || offset + len + LONGEST_WORD > self.arena.len() {
            return Err(Stop::Answer(answer::FLUSH));
        }
        let mut lengths = [0; HOSTS];
        let mut to = offset;
        for (host, length) in hosts.iter().zip(lengths.iter_mut()) {
            self.keep(*host, to)?;
            *length = host.len as u16;
            to += host.len;
        }
        let made = Entry { hash, offset: offset as u32, lengths, cell: NONE, rules: NONE, reserved: 0 };
        *self.entries.get_mut(number).or_leave()? = made;
        *self.table.get_mut(place).or_leave()? = number as u32 + 1;
        (self.state.entries, self.state.arena) = (number + 1, to);
        if self.state.options & option::PATHS != 0 {
            return Err(self.ask(answer::ENTRY, number, 0));
        }
        Ok(number)
    }

    /// Copy a span into the arena.
    fn keep(&mut self, span: Span, to: usize) -> Found<()> {
        let from = self.text.0.get(span.at..span.end()).or_leave()?;
        let target = self.arena.get_mut(to..to + span.len).or_leave()?;
        for (byte, kept) in target.iter_mut().zip(from) {
            *byte = *kept;
        }
        Ok(())
    }
}
