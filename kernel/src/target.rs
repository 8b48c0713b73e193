//! The host and the path of a request or a URL, as the format's pattern finds them.
#![forbid(unsafe_code)]

use crate::text::{stops, Found, Span, Stops, Text};

const SPACE: Stops = stops([b' '; 4]);
const AUTHORITY: Stops = stops([b' ', b'/', b'?', b'#']);

/// What a target names. Where there is none of it, the span is empty. path: with all that follows it.
#[derive(Clone, Copy, Default)]
pub struct Target {
    pub host: Span,
    pub path: Span,
}

/// What a request names, where `method` is true, or a URL alone.
#[inline(always)]
pub fn target(text: Text, whole: Span, method: bool) -> Found<Target> {
    let nothing = Span { at: whole.at, len: 0 };
    let mut found = Target { host: nothing, path: nothing };
    let mut rest = whole;
    if method {
        let end = text.part(whole, &SPACE)?;
        if end == whole.at || end == whole.end() {
            return Ok(found);
        }
        rest = Span::between(end + 1, whole.end());
    }
    if let Some(at) = authority(text, rest, method) {
        found.host = Span::between(at, text.part(Span::between(at, rest.end()), &AUTHORITY)?);
        rest = Span::between(found.host.end(), rest.end());
    }
    found.path = rest;
    Ok(found)
}

/// Where the authority begins, in what may be an absolute URI or CONNECT's host and port.
#[inline(always)]
fn authority(text: Text, rest: Span, method: bool) -> Option<usize> {
    if rest.len > 0 && text.byte(rest.at) != b'/' {
        let colon = scheme(text, rest);
        if colon > rest.at && colon + 3 <= rest.end() && text.has(colon, b"://") {
            return Some(colon + 3);
        }
    }
    let refused = rest.len >= 6 && text.has(rest.at, b"error:");
    let connect = rest.at >= 8 && text.has(rest.at - 8, b"CONNECT ");
    ((connect && !refused) || (!method && tunnel(text, rest))).then_some(rest.at)
}

/// Whether a URL is a host and a port and nothing else: that of a CONNECT, whose method stands elsewhere.
#[inline(never)]
fn tunnel(text: Text, url: Span) -> bool {
    let mut colon = url.end();
    while colon > url.at && text.byte(colon - 1).is_ascii_digit() {
        colon -= 1;
    }
    let digits = url.end() - colon;
    if !(1..=5).contains(&digits) || colon < url.at + 2 || text.byte(colon - 1) != b':' {
        return false;
    }
    let holds =
        |from: usize, end: usize, inside: fn(u8) -> bool| end > from && (from..end).all(|at| inside(text.byte(at)));
    if text.byte(url.at) == b'[' && text.byte(colon - 2) == b']' {
        return holds(url.at + 1, colon - 2, |byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    }
    holds(url.at, colon - 1, in_name)
}

/// Whether a byte may stand in the name of a host before a port.
fn in_name(byte: u8) -> bool {
    !matches!(byte, b':' | b'/' | b'?' | b'#' | b'[' | b']' | b'"' | b'\\' | b' ')
}

/// Where the scheme ends; its beginning where there is none.
#[inline(always)]
fn scheme(text: Text, rest: Span) -> usize {
    if text.has(rest.at, b"http://") {
        return rest.at + 4;
    }
    let mut at = rest.at;
    if text.byte(at).is_ascii_alphabetic() {
        while at < rest.end() && in_scheme(text.byte(at)) {
            at += 1;
        }
    }
    at
}

fn in_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-')
}
