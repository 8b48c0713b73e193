//! What others put before a server's line: a syslog's prefix, a container's name.
#![forbid(unsafe_code)]

use crate::text::{expect, Found, Text};

/// SYSLOG: a prefix as syslog daemons write it, or none. What looks like another one leaves the line.
pub fn syslog(text: Text, from: usize) -> Found<usize> {
    let at = priority(text, from)?;
    let begun = match text.byte(at) {
        b'A'..=b'Z' => like(text, at, b"Aaa #d dd:dd:dd ")?,
        b'0'..=b'9' if text.byte(at + 1) == b' ' => return expect(false).map(|_| at),
        b'0'..=b'9' if text.byte(at + 4) == b'-' => iso(text, at)?,
        _ => {
            expect(at == from)?;
            return Ok(at);
        }
    };
    let word = until_space(text, begun)?;
    if text.byte(word - 1) != b':' {
        expect(word > begun)?;
        let end = until_space(text, word + 1)?;
        expect(host(text, begun, word) && program(text, word + 1, end))?;
        return Ok(end + 1);
    }
    expect(program(text, begun, word) && !numeric(text, begun, word))?;
    Ok(word + 1)
}

fn priority(text: Text, from: usize) -> Found<usize> {
    if text.byte(from) != b'<' {
        return Ok(from);
    }
    let digits = text.digits(from + 1)?;
    expect((1..=3).contains(&digits) && text.byte(from + 1 + digits) == b'>')?;
    Ok(from + 2 + digits)
}

/// Whether a text looks like a pattern: A and a are letters, d is a digit, # a digit or a space. Where it ends.
fn like(text: Text, from: usize, pattern: &[u8]) -> Found<usize> {
    let mut at = from;
    for wanted in pattern {
        let byte = text.byte(at);
        expect(match wanted {
            b'A' => byte.is_ascii_uppercase(),
            b'a' => byte.is_ascii_lowercase(),
            b'd' => byte.is_ascii_digit(),
            b'#' => byte.is_ascii_digit() || byte == b' ',
            _ => byte == *wanted,
        })?;
        at += 1;
    }
    Ok(at)
}

/// 2026-05-28T20:31:07.123456+00:00 and a space
fn iso(text: Text, from: usize) -> Found<usize> {
    let mut at = like(text, from, b"dddd-dd-ddTdd:dd:dd")?;
    if text.byte(at) == b'.' {
        let digits = text.digits(at + 1)?;
        expect((1..16).contains(&digits))?;
        at += 1 + digits;
    }
    match text.byte(at) {
        b'Z' => like(text, at, b"Z "),
        b'+' => like(text, at, b"+dd:dd "),
        _ => like(text, at, b"-dd:dd "),
    }
}

fn until_space(text: Text, from: usize) -> Found<usize> {
    const SPACE: crate::text::Stops = crate::text::stops([b' '; 4]);
    let at = text.until_two(from, &SPACE)?;
    expect(at > from && text.byte(at) == b' ')?;
    Ok(at)
}

fn all(text: Text, from: usize, to: usize, wanted: fn(u8) -> bool) -> bool {
    (from..to).all(|at| wanted(text.byte(at)))
}

/// Whether a word is a host's name. Addresses of IPv6 are left.
fn host(text: Text, from: usize, to: usize) -> bool {
    all(text, from, to, |byte| !matches!(byte, b':' | b'['))
}

/// Whether a word could be an address, too.
fn numeric(text: Text, from: usize, to: usize) -> bool {
    all(text, from, to, |byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.' | b'[' | b']'))
}

/// Whether a word is a program's name with its process in brackets, or without, and a colon.
fn program(text: Text, from: usize, to: usize) -> bool {
    let mut end = to - 1;
    if text.byte(end) != b':' {
        return false;
    }
    if text.byte(end - 1) == b']' {
        let close = end - 1;
        end = close;
        while end > from && text.byte(end - 1).is_ascii_digit() {
            end -= 1;
        }
        if end == close || text.byte(end - 1) != b'[' {
            return false;
        }
        end -= 1;
    }
    end > from && all(text, from, end, |byte| word(byte) || matches!(byte, b'.' | b'/' | b'-'))
}

pub fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// CONTAINER: `name | ` before a line that begins with a brace, or nothing.
pub fn container(text: Text, from: usize) -> Found<usize> {
    if text.byte(from) == b'{' {
        return Ok(from);
    }
    let mut at = from;
    while word(text.byte(at)) || matches!(text.byte(at), b'.' | b'-') {
        at += 1;
    }
    expect(at > from && text.byte(at) == b' ')?;
    at = crate::fields::pad(text, at)?;
    expect(text.has(at, b"| "))?;
    Ok(at + 2)
}

/// Where a line begins behind the prefix of a container's log, as CRI has it, or of a syslog daemon.
pub fn wrapped(text: Text, from: usize) -> Found<usize> {
    match iso(text, from) {
        Ok(at) if text.has(at, b"stdout F ") || text.has(at, b"stderr F ") => Ok(at + 9),
        _ => syslog(text, from),
    }
}
