//! Known hosts and words: each distinct one is looked at once by the caller, and then known by its bytes.
#![forbid(unsafe_code)]

use crate::kernel::Kernel;
use crate::shapes::{answer, option, Entry, HOSTS, NONE};
use crate::text::{alike, expect, fold, Found, OrLeave, Span, Stop, Text};

const LONGEST_WORD: usize = 32;
const LONGEST_HOST: usize = 255;
/// Texts begin at multiples of this in the arena, with zeros behind each.
const SHORT: usize = 32;
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
        let text = self.text.words(span)?;
        let hash = fold(text[0] ^ text[1] ^ text[2] ^ text[3] ^ span.len as u64, self.state.seed | 1) as usize;
        let mask = self.words.len() - 1;
        match self.words.get(hash & mask) {
            Some(word) if word.len == span.len as u32 && alike(&word.text, &text) => Ok((word.hit & 1) as usize),
            _ => self.find_word(span, hash, &text),
        }
    }

    /// The same of a word that is not in the first place where it could be; it is made where it is new.
    #[inline(never)]
    fn find_word(&mut self, span: Span, hash: usize, text: &[u64; 4]) -> Found<usize> {
        for probe in 0..WORD_PROBES {
            let place = hash.wrapping_add(probe) & (self.words.len() - 1);
            let word = self.words.get_mut(place).or_leave()?;
            if word.len == span.len as u32 && alike(&word.text, text) {
                return Ok((word.hit & 1) as usize);
            }
            if word.len == NONE {
                (word.len, word.hit, word.text) = (span.len as u32, 0, *text);
                return Err(self.ask(answer::WORD, place, span.at));
            }
        }
        Err(Stop::Leave)
    }

    /// The number of the entry of a line's hosts, made where there is none.
    #[inline(always)]
    pub fn entry(&mut self, hosts: &Hosts) -> Found<usize> {
        let [host, ..] = hosts;
        if self.state.hosts != 1 || host.len > SHORT {
            return self.long_entry(hosts);
        }
        let words = self.text.words(*host)?;
        let hash = mixed(&words, salted(self.state.seed, host.len));
        self.find(hosts, hash, |kernel, entry| {
            let text = Span { at: entry.offset as usize, len: SHORT };
            Ok(entry.lengths[0] as usize == host.len && alike(&Text(kernel.arena).words(text)?, &words))
        })
    }

    /// The same where there are several hosts, or long ones.
    #[inline(never)]
    fn long_entry(&mut self, hosts: &Hosts) -> Found<usize> {
        let mut hash = self.state.seed;
        for host in hosts.iter().take(self.state.hosts as usize) {
            hash = if host.len == 0 { !hash } else { self.hash(*host, hash)? };
        }
        self.find(hosts, hash, |kernel, entry| kernel.is_of(entry, hosts))
    }

    /// The entry with a hash for which something is so.
    #[inline(always)]
    fn find(&mut self, hosts: &Hosts, hash: u64, is_it: impl Fn(&Self, &Entry) -> Found<bool>) -> Found<usize> {
        let mask = self.table.len() - 1;
        let mut place = hash as usize & mask;
        for _ in 0..PROBES {
            let number = *self.table.get(place).or_leave()? as usize;
            if number == 0 {
                return self.new_entry(hosts, hash, place);
            }
            let entry = self.entries.get(number - 1).or_leave()?;
            if entry.hash == hash && is_it(self, entry)? {
                return Ok(number - 1);
            }
            place = (place + 1) & mask;
        }
        Err(Stop::Leave)
    }

    fn hash(&self, span: Span, before: u64) -> Found<u64> {
        expect(span.len <= LONGEST_HOST)?;
        let mut hash = mixed(&self.text.words(span)?, salted(before, span.len));
        for at in (span.at + SHORT..span.end()).step_by(SHORT) {
            hash = mixed(&self.text.words(Span::between(at, span.end()))?, hash);
        }
        Ok(hash)
    }

    /// Whether an entry is that of some hosts.
    fn is_of(&self, entry: &Entry, hosts: &Hosts) -> Found<bool> {
        let mut place = entry.offset as usize;
        for (host, len) in hosts.iter().zip(entry.lengths).take(self.state.hosts as usize) {
            if len as usize != host.len || (len != 0 && !self.text.same(*host, Text(self.arena), place)?) {
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
        if number >= self.entries.len() || offset + len + 2 * SHORT > self.arena.len() {
            return Err(Stop::Answer(answer::FLUSH));
        }
        let end = (offset + len.max(1) + SHORT - 1) & !(SHORT - 1);
        let last: &mut [u8; SHORT] =
            self.arena.get_mut(end - SHORT..end).and_then(|last| last.try_into().ok()).or_leave()?;
        *last = [0; SHORT];
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
        (self.state.entries, self.state.arena) = (number + 1, end);
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

#[inline(always)]
fn salted(seed: u64, len: usize) -> u64 {
    seed ^ (len as u64).wrapping_mul(MIXERS[0])
}

/// Four words mixed into a hash.
#[inline(always)]
fn mixed(words: &[u64; 4], hash: u64) -> u64 {
    let one = fold(words[0] ^ MIXERS[1] ^ hash, words[1] ^ MIXERS[2] ^ hash);
    let two = fold(words[2] ^ MIXERS[3] ^ hash, words[3] ^ MIXERS[4] ^ hash);
    fold(one ^ hash, two ^ MIXERS[0])
}
