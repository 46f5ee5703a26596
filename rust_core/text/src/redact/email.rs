//! E-mail addresses, from each `@` outwards.
//!
//! Not `icon@2x.png`, `react@18.2.0` or `git@github.com`: what follows must end like a domain, and `git` is nobody.

use memchr::memchr_iter;

use super::{Kind, Span, words};

/// RFC 5321 has 64 and 255.
const LOCAL: usize = 64;
const DOMAIN: usize = 255;
/// Endings of files, none of which is a domain's.
const FILES: [&str; 14] =
    ["png", "jpg", "jpeg", "gif", "svg", "webp", "js", "ts", "tsx", "css", "tgz", "json", "yaml", "yml"];

pub fn find(text: &str, found: &mut Vec<Span>) {
    for at in memchr_iter(b'@', text.as_bytes()) {
        if let (Some(start), Some(end)) = (local(text, at), domain(text, at + 1))
            && !text[start..at].eq_ignore_ascii_case("git")
        {
            found.push(Span { start, end, kind: Kind::Email });
        }
    }
}

/// Where the part before the `@` begins.
fn local(text: &str, at: usize) -> Option<usize> {
    let inside = |character: &char| character.is_alphanumeric() || "._%+-'".contains(*character);
    let length: usize = text[..at].chars().rev().take(LOCAL).take_while(inside).map(char::len_utf8).sum();
    let start = at - length;
    let quoted = text[start..at].trim_start_matches(['.', '\'', '-', '%']).len();
    (quoted > 0).then_some(at - quoted)
}

/// Where the domain after it ends.
fn domain(text: &str, from: usize) -> Option<usize> {
    let inside = |character: &char| character.is_alphanumeric() || ".-".contains(*character);
    let length: usize = text[from..].chars().take(DOMAIN).take_while(inside).map(char::len_utf8).sum();
    let whole = text[from..from + length].trim_end_matches(['.', '-']);
    // A sentence may go on without a space: `x@example.com.Please`; its domain ends all the same like one.
    let end = from + whole.len();
    let (before, last) = whole.rsplit_once('.')?;
    let like_domain = last.chars().count() >= 2 && last.chars().all(|c| c.is_alphabetic() || c == '-');
    let named = !before.is_empty() && !before.starts_with('.') && !whole.contains("..");
    let file = FILES.iter().any(|ending| last.eq_ignore_ascii_case(ending));
    (like_domain && named && !file && words::ends(text, end)).then_some(end)
}
