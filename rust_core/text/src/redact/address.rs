//! IP addresses of version 6; those of version 4 are among the [`super::numbers`].

use std::{net::Ipv6Addr, sync::LazyLock};

use memchr::memchr;
use regex::Regex;

use super::{Kind, Span, words};

static FORM: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.[0-9]{1,3}){0,3}").expect("is a pattern")
});

pub fn find(text: &str, found: &mut Vec<Span>) {
    if memchr(b':', text.as_bytes()).is_none() {
        return;
    }
    for hit in FORM.find_iter(text) {
        let alone =
            words::begins(text, hit.start()) && words::ends(text, hit.end()) && !text[hit.end()..].starts_with(':');
        if alone && is_somebody(hit.as_str()) {
            found.push(Span { start: hit.start(), end: hit.end(), kind: Kind::Ip });
        }
    }
}

/// Not `::`, `::1`, or two names of code that happen to be hexadecimal (`Add::Fee`).
fn is_somebody(form: &str) -> bool {
    let Ok(address) = form.parse::<Ipv6Addr>() else { return false };
    let groups = form.split(':').filter(|group| !group.is_empty()).count();
    let has_digit = form.bytes().any(|byte| byte.is_ascii_digit());
    let local = address.is_unicast_link_local() || address.is_unique_local();
    let global = (address.segments()[0] & 0xe000) == 0x2000;
    !address.is_loopback() && !address.is_unspecified() && has_digit && (groups >= 3 || local || global && groups >= 2)
}
