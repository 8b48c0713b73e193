//! Adding up: each line in the cell of its slot, and of its channel or its hosts.
#![forbid(unsafe_code)]

use crate::kernel::{Kernel, Line};
use crate::shapes::{answer, option, role, Cell, NONE};
use crate::target::target;
use crate::text::{expect, Found, OrLeave, Span, Stop};

/// Microseconds and milliseconds of a slot.
const SLOT: i64 = 300_000_000;
const SLOT_MS: i64 = SLOT / 1000;
const BIG: u64 = 1 << 40;

/// Where a line is booked, but for its slot. channel: what the path decides, or NONE: then the entry does.
#[derive(Clone, Copy)]
struct Place {
    entry: usize,
    channel: u32,
    hit: usize,
}

/// A transfer, in milliseconds.
struct Transfer {
    start: i64,
    end: i64,
    lasted: i64,
    size: u64,
}

impl Kernel<'_> {
    /// Count a line that fits. It is counted as a whole, or not at all.
    #[inline(always)]
    pub fn count(&mut self, line: &mut Line) -> Found<()> {
        expect(line.size < BIG)?;
        let adds = self.state.options & option::ADDS != 0;
        let time = if adds { line.time + line.lasted as i64 } else { line.time };
        let hit = self.hit(line.span(role::WORD))?;
        if time < self.state.since {
            self.state.aside += 1;
            return Ok(());
        }
        expect(time >= self.state.low && time <= self.state.high)?;
        let place = self.place(line, hit)?;
        let slot = time / SLOT;
        if self.state.options & option::SPREADS != 0 && Transfer::of(line, time).began_before(slot * SLOT_MS) {
            self.spread(&Transfer::of(line, time), place)?;
        } else {
            let cell = self.cell(place, slot as u32)?;
            self.add(cell, place.hit, 1, line.size)?;
        }
        self.saw(time);
        Ok(())
    }

    #[inline(always)]
    fn saw(&mut self, time: i64) {
        self.state.first = self.state.first.min(time);
        self.state.last = self.state.last.max(time);
    }

    /// Find where a line is booked.
    #[inline(always)]
    fn place(&mut self, line: &mut Line, hit: usize) -> Found<Place> {
        let options = self.state.options;
        if options & option::TARGET != 0 {
            let whole = line.span(role::TARGET);
            let found = target(self.text, whole, options & option::METHOD != 0)?;
            line.note(role::PATH, found.path);
            line.note(self.state.target as u8, found.host);
        }
        let entry = self.entry(line.hosts()?)?;
        let rules = self.entries.get(entry).or_leave()?.rules;
        let channel = if rules == NONE { NONE } else { self.channel(rules, self.path(line), line.escaped)? };
        Ok(Place { entry, channel, hit })
    }

    /// The path that a line asks for. What follows it is no part of any prefix.
    #[inline(always)]
    fn path(&self, line: &Line) -> Span {
        line.span(if self.state.options & option::URI != 0 { role::URI } else { role::PATH })
    }

    /// The number of the cell of a place and a slot, made where there is none.
    #[inline(always)]
    fn cell(&mut self, place: Place, slot: u32) -> Found<usize> {
        let (entry, first) = match place.channel {
            NONE => (place.entry as u32, &mut self.entries.get_mut(place.entry).or_leave()?.cell),
            channel => (NONE, self.heads.get_mut(channel as usize).ok_or(Stop::Answer(answer::BAD))?),
        };
        let mut at = *first;
        while at != NONE {
            let cell = self.cells.get(at as usize).or_leave()?;
            if cell.slot == slot {
                return Ok(at as usize);
            }
            at = cell.next;
        }
        let made = self.state.cells;
        let cell = match self.cells.get_mut(made) {
            Some(cell) => cell,
            None => return Err(Stop::Answer(answer::FLUSH)),
        };
        *cell = Cell { slot, entry, channel: place.channel, next: *first, requests: [0; 2], bytes: [0; 2] };
        *first = made as u32;
        self.state.cells = made + 1;
        Ok(made)
    }

    #[inline(always)]
    fn add(&mut self, cell: usize, hit: usize, requests: u64, bytes: u64) -> Found<()> {
        let cell = self.cells.get_mut(cell).or_leave()?;
        *cell.requests.get_mut(hit).or_leave()? += requests;
        *cell.bytes.get_mut(hit).or_leave()? += bytes;
        Ok(())
    }

    /// Count a transfer whose bytes were sent in several slots: up to a time t, size * (t - start) // lasted of them.
    #[inline(never)]
    fn spread(&mut self, transfer: &Transfer, place: Place) -> Found<()> {
        let earliest = transfer.end - self.state.longest;
        let first = transfer.start.max(earliest).div_euclid(SLOT_MS);
        let last = transfer.end / SLOT_MS;
        expect(first >= 0 && transfer.size < 1 << 33 && transfer.lasted < 1 << 31)?; // so that their product fits
        self.make_room(last - first + 1)?;
        let mut sent = 0;
        for slot in first..last {
            let until = transfer.sent((slot + 1) * SLOT_MS)?;
            let cell = self.cell(place, slot as u32)?;
            self.add(cell, place.hit, 0, until - sent)?;
            sent = until;
        }
        let cell = self.cell(place, last as u32)?;
        self.add(cell, place.hit, 1, transfer.size - sent)?;
        self.state.clipped += (transfer.start < first * SLOT_MS) as u64;
        Ok(())
    }

    /// Make sure that so many cells can be made.
    fn make_room(&self, wanted: i64) -> Found<()> {
        if self.state.cells + wanted as usize <= self.cells.len() {
            return Ok(());
        }
        expect(self.state.cells > 0)?;
        Err(Stop::Answer(answer::FLUSH))
    }
}

impl Transfer {
    #[inline(always)]
    fn of(line: &Line, time: i64) -> Self {
        let (end, lasted) = (time / 1000, line.lasted as i64 / 1000);
        Self { start: end - lasted, end, lasted, size: line.size }
    }

    #[inline(always)]
    fn began_before(&self, time: i64) -> bool {
        self.lasted > 0 && self.start < time
    }

    /// How many bytes were sent up to a time.
    fn sent(&self, until: i64) -> Found<u64> {
        let elapsed = (until - self.start) as u64;
        (self.size * elapsed).checked_div(self.lasted as u64).or_leave()
    }
}
