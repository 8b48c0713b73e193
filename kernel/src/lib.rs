//! The tally's kernel: reads lines by a program that is compiled from a log format, and counts those that fit it.
//!
//! It allocates nothing and calls nothing; all memory is the caller's. A line that it does not like in any way is left to
//! the caller, whose regular expression decides: what the kernel takes is a part of what that takes. There is no path to
//! a panic: `edgetally_cannot_panic` is not defined anywhere, so that a build that has one does not link.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

mod entries;
mod fields;
mod json;
mod kernel;
mod lanes;
mod moment;
mod paths;
mod prefix;
mod shapes;
mod sums;
mod target;
mod text;

use core::mem::{align_of, size_of};
use core::slice::{from_raw_parts, from_raw_parts_mut};

use shapes::{answer, Cell, Entry, Group, Left, Minute, Node, Op, Spans, State, Step, Word, SLACK, VERSION};

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the structures that Python shares with the kernel are those of 64 bits");

/// Memory of the caller's: where it begins, and how many elements it has.
#[repr(C)]
pub struct Lent<T> {
    start: *mut T,
    len: usize,
}

/// All that the caller lends.
#[repr(C)]
pub struct Context {
    text: Lent<u8>,
    ops: Lent<Op>,
    nodes: Lent<Node>,
    groups: Lent<Group>,
    heads: Lent<u32>,
    table: Lent<u32>,
    entries: Lent<Entry>,
    arena: Lent<u8>,
    cells: Lent<Cell>,
    words: Lent<Word>,
    minutes: Lent<Minute>,
    left: Lent<Left>,
    steps: Lent<Step>,
    state: State,
    spans: Spans,
}

const fn size<T>() -> u32 {
    size_of::<T>() as u32
}

/// The version, and the sizes of the structures: the caller's have to be the same.
#[no_mangle]
pub static EDGETALLY_LAYOUT: [u32; 11] = [
    VERSION,
    size::<Context>(),
    size::<Op>(),
    size::<Entry>(),
    size::<Cell>(),
    size::<Word>(),
    size::<Minute>(),
    size::<Node>(),
    size::<Group>(),
    size::<Left>(),
    size::<Step>(),
];

/// Count lines. The answer says why it stopped: see `shapes::answer`.
///
/// # Safety
/// `context` points to a context, or is null; each of its pointers has as many elements as it says, and nothing else uses
/// any of these meanwhile.
#[no_mangle]
pub unsafe extern "C" fn edgetally_count(context: *mut Context) -> u32 {
    if context.is_null() || context as usize & (align_of::<Context>() - 1) != 0 {
        return answer::BAD;
    }
    // SAFETY: it is aligned, and the caller's to lend
    let context = unsafe { &mut *context };
    if !context.is_sound() {
        return answer::BAD;
    }
    // SAFETY: as this function's contract says
    let mut kernel = unsafe {
        kernel::Kernel {
            text: text::Text(context.text.get()),
            ops: context.ops.get(),
            nodes: context.nodes.get(),
            groups: context.groups.get(),
            heads: context.heads.get_mut(),
            table: context.table.get_mut(),
            entries: context.entries.get_mut(),
            arena: context.arena.get_mut(),
            cells: context.cells.get_mut(),
            words: context.words.get_mut(),
            minutes: context.minutes.get_mut(),
            left: context.left.get_mut(),
            steps: context.steps.get_mut(),
            state: &mut context.state,
        }
    };
    kernel.run(&mut context.spans)
}

impl<T> Lent<T> {
    fn is_sound(&self) -> bool {
        !self.start.is_null()
            && self.start as usize & (align_of::<T>() - 1) == 0
            && self.len <= isize::MAX as usize / size_of::<T>().max(1)
    }

    fn is_table(&self) -> bool {
        self.is_sound() && self.len.is_power_of_two()
    }

    /// # Safety
    /// The memory is there, and nothing changes it.
    unsafe fn get<'a>(&self) -> &'a [T] {
        // SAFETY: `is_sound` was asked, and the rest is the caller's contract
        unsafe { from_raw_parts(self.start, self.len) }
    }

    /// # Safety
    /// The memory is there, and nothing else uses it.
    unsafe fn get_mut<'a>(&mut self) -> &'a mut [T] {
        // SAFETY: `is_sound` was asked, and the rest is the caller's contract
        unsafe { from_raw_parts_mut(self.start, self.len) }
    }
}

impl Context {
    /// Whether all memory is there, and the lines are in it, with a newline at their end and slack behind that.
    fn is_sound(&self) -> bool {
        let read_only = self.text.is_sound() && self.ops.is_sound();
        let rules = self.nodes.is_sound() && self.groups.is_sound() && self.heads.is_sound();
        let tables = self.table.is_table() && self.words.is_table() && self.minutes.is_table();
        let sums = self.entries.is_sound() && self.arena.is_sound() && self.cells.is_sound() && self.left.is_sound();
        let steps = self.steps.is_sound() && self.steps.len > 0;
        let (pos, end) = (self.state.pos, self.state.end);
        read_only
            && rules
            && tables
            && sums
            && steps
            && self.left.len > 0
            && pos < end
            && end <= self.text.len
            && self.text.len - end >= SLACK
            && self.text.len.max(self.arena.len) <= u32::MAX as usize
            // SAFETY: a place in memory that the caller says is there
            && unsafe { *self.text.start.add(end - 1) } == b'\n'
    }
}

#[cfg(not(test))]
extern "C" {
    fn edgetally_cannot_panic() -> !;
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: it is never linked
    unsafe { edgetally_cannot_panic() }
}
