//! The rule that a path decides: prefixes as a tree, of which a path is one way down.
#![forbid(unsafe_code)]

use crate::kernel::Kernel;
use crate::lanes;
use crate::shapes::{Node, NONE};
use crate::text::{Found, OrLeave, Span, Stop, Text};

impl Kernel<'_> {
    /// The first of the rules whose prefix a path has; NONE for none. root: the node where the rules begin.
    #[inline(always)]
    pub fn rule(&self, root: u32, path: Span, escaped: bool) -> Found<u32> {
        if escaped && self.has_backslash(path) {
            return Err(Stop::Leave); // it may be an escape, which the caller's patterns blank
        }
        self.descend(root, path)
    }

    #[inline(never)]
    fn descend(&self, root: u32, path: Span) -> Found<u32> {
        let pool = Text(self.pool);
        let (mut number, mut at, mut rule) = (root, path.at, NONE);
        for _ in 0..=path.len {
            let node = self.nodes.get(number as usize).or_leave()?;
            let label = Span { at, len: node.len as usize };
            if label.end() > path.end() || !self.text.same(label, pool, node.offset as usize)? {
                return Ok(rule);
            }
            at = label.end();
            rule = rule.min(node.rule);
            if at >= path.end() {
                return Ok(rule);
            }
            number = match self.child(node, self.text.byte(at))? {
                Some(child) => child,
                None => return Ok(rule),
            };
        }
        Err(Stop::Leave)
    }

    /// The node that follows with a byte.
    #[inline(always)]
    fn child(&self, node: &Node, byte: u8) -> Found<Option<u32>> {
        let mut done = 0;
        while done < node.children {
            let firsts = Text(self.pool).lanes((node.firsts + done) as usize)?;
            let found = lanes::first(lanes::same(firsts, lanes::splat(byte))) as u32;
            if found < 16 {
                return Ok((done + found < node.children).then(|| node.child + done + found));
            }
            done += 16;
        }
        Ok(None)
    }

    fn has_backslash(&self, path: Span) -> bool {
        (path.at..path.end()).any(|at| self.text.byte(at) == b'\\')
    }
}
