//! The channel that a path decides: the prefixes of each group of rules are a tree, of which a path is one way down.
#![forbid(unsafe_code)]

use crate::kernel::Kernel;
use crate::lanes;
use crate::shapes::{answer, Node, NONE, UNREADABLE};
use crate::text::{expect, head, Found, Span, Stop};

const BAD: Stop = Stop::Answer(answer::BAD);

impl Kernel<'_> {
    /// The channel of the first rule whose prefix a path has; NONE for none. group: the first of the hosts' groups.
    #[inline(never)]
    pub fn channel(&self, mut group: u32, path: Span, escaped: bool) -> Found<u32> {
        expect(group != UNREADABLE && !(escaped && self.has_backslash(path)))?;
        let (mut first, mut channel) = (NONE, NONE);
        for _ in self.groups {
            let rules = self.groups.get(group as usize).ok_or(BAD)?;
            let found = self.deepest(rules.root, path)?;
            if found.rule < rules.limit.min(first) {
                (first, channel) = (found.rule, found.channel);
            }
            group = rules.next;
            if group == NONE {
                return Ok(channel);
            }
        }
        Err(BAD)
    }

    /// The last node on a path's way down from a root.
    #[inline(always)]
    fn deepest(&self, root: u32, path: Span) -> Found<&Node> {
        let mut deepest = &NOWHERE;
        let (mut node, mut at) = (self.nodes.get(root as usize).ok_or(BAD)?, path.at);
        for _ in 0..=path.len {
            let text = node.text[0] as u128 | (node.text[1] as u128) << 64;
            let end = at + node.len as usize;
            if end > path.end() || self.text.wide(at)? & head(node.len as usize) != text {
                return Ok(deepest);
            }
            (deepest, at) = (node, end);
            node = match self.child(node, self.text.byte(at))? {
                Some(child) => child,
                None => return Ok(deepest),
            };
        }
        Err(BAD)
    }

    /// The node that follows with a byte.
    #[inline(always)]
    fn child<'a>(&'a self, mut node: &'a Node, byte: u8) -> Found<Option<&'a Node>> {
        for _ in 0..=u8::MAX {
            let found = lanes::first(lanes::same(lanes::of(&node.firsts), lanes::splat(byte))) as u32;
            if found < node.children {
                return self.nodes.get((node.child + found) as usize).ok_or(BAD).map(Some);
            }
            if node.more == NONE {
                return Ok(None);
            }
            node = self.nodes.get(node.more as usize).ok_or(BAD)?;
        }
        Err(BAD)
    }

    /// Whether a path has a backslash, which may be an escape: the caller's patterns blank these.
    #[inline(never)]
    fn has_backslash(&self, path: Span) -> bool {
        let bytes = self.text.0.get(path.at..path.end()).unwrap_or_default();
        bytes.iter().take_while(|byte| **byte != b'?').any(|byte| *byte == b'\\')
    }
}

/// Stands above all roots.
static NOWHERE: Node = Node {
    text: [0; 2],
    firsts: [0; 16],
    len: 0,
    child: 0,
    children: 0,
    more: NONE,
    rule: NONE,
    channel: NONE,
    reserved: [0; 2],
};
