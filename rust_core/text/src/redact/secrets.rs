//! Secrets: keys and tokens by their well-known shapes, private keys, passwords by the name before them.

use std::{ops::Range, sync::LazyLock};

use memchr::memmem;
use regex::{Captures, Regex};

use super::{Kind, Span, words};

/// Longest password in a URL that is looked for.
const AUTHORITY: usize = 512;
const BEGIN: &str = "-----BEGIN ";

/// Each begins with what its issuer gives it, and is so long that no word is taken for it.
static SHAPES: LazyLock<Regex> = LazyLock::new(|| {
    let shapes = [
        r"sk-(?:proj-|ant-|or-v1-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}",
        r"(?:sk|pk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{20,}",
        r"gh[pousr]_[A-Za-z0-9]{36,}",
        r"github_pat_[A-Za-z0-9_]{50,}",
        r"glpat-[A-Za-z0-9_-]{20,}",
        r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
        r"xapp-[A-Za-z0-9-]{20,}",
        r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}",
        r"AIza[A-Za-z0-9_-]{35}",
        r"ya29\.[A-Za-z0-9_-]{20,}",
        r"GOCSPX-[A-Za-z0-9_-]{20,}",
        r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
        r"hf_[A-Za-z0-9]{30,}",
        r"npm_[A-Za-z0-9]{36}",
        r"pypi-[A-Za-z0-9_-]{50,}",
        r"SG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{30,}",
        r"dop_v1_[a-f0-9]{64}",
        r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
        r"AGE-SECRET-KEY-1[A-Z0-9]{50,}",
        r"wp_[0-9a-f]{8}_[A-Za-z0-9_-]{40,}",
    ];
    Regex::new(&shapes.join("|")).expect("are patterns")
});

/// A name, and the value it is given; what the value must be like is for [`is_secret`] to say.
static GIVEN: LazyLock<Regex> = LazyLock::new(|| {
    let names =
        "pass(?:word|wd|phrase)|pwd|secret|api[_-]?key|access[_-]?(?:key|token)|auth[_-]?token|token|private[_-]?key";
    let value = r#"(?<quote>["'`])?(?<value>[^\s"'`,;&<>\[\]]{4,256})"#;
    Regex::new(&format!(r#"(?i)(?:{names})(?:["']|\\")?(?<by>\s{{0,4}}[:=]\s{{0,4}})\\?{value}"#))
        .expect("is a pattern")
});

/// What a header carries.
static CARRIED: LazyLock<Regex> = LazyLock::new(|| {
    let bearer = r"\b[Bb]earer\s{1,4}(?<bearer>[A-Za-z0-9._~+/-]{16,}=*)";
    let basic = r#"(?i:authorization)["']?\s{0,4}[:=]\s{0,4}["']?(?i:basic|token|apikey)\s{1,4}(?<basic>[A-Za-z0-9+/=_.-]{8,})"#;
    Regex::new(&format!("{bearer}|{basic}")).expect("is a pattern")
});

pub fn find(text: &str, found: &mut Vec<Span>) {
    private_keys(text, found);
    urls(text, found);
    let shapes = SHAPES.find_iter(text).map(|hit| hit.range());
    found.extend(shapes.filter(|hit| words::begins(text, hit.start) && has_digit(&text[hit.clone()])).map(secret));
    found.extend(GIVEN.captures_iter(text).filter_map(|hit| given(&hit)).map(secret));
    found.extend(CARRIED.captures_iter(text).filter_map(|hit| carried(&hit)).map(secret));
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

fn secret(range: Range<usize>) -> Span {
    Span { start: range.start, end: range.end, kind: Kind::Secret }
}

/// To its end, or where that is missing to the text's: half a key is still one.
fn private_keys(text: &str, found: &mut Vec<Span>) {
    let mut from = 0;
    while let Some(start) = memmem::find(&text.as_bytes()[from..], BEGIN.as_bytes()).map(|at| from + at) {
        from = start + BEGIN.len();
        let label = text[from..].split("-----").next().unwrap_or_default();
        if label.len() > 40 || !label.contains("PRIVATE KEY") {
            continue;
        }
        let end_mark = format!("-----END {label}-----");
        let end = memmem::find(&text.as_bytes()[from..], end_mark.as_bytes());
        from = end.map_or(text.len(), |at| from + at + end_mark.len());
        found.push(secret(start..from));
    }
}

/// `user:password` before the host.
fn urls(text: &str, found: &mut Vec<Span>) {
    for at in memmem::find_iter(text.as_bytes(), "://") {
        let rest = &text[at + 3..];
        let stops = |character: char| character.is_whitespace() || "/?#\"'<>[]`".contains(character);
        let end =
            rest.char_indices().take(AUTHORITY).find(|(_, character)| stops(*character)).map_or(rest.len(), |c| c.0);
        let Some((user, _)) = rest.get(..end).and_then(|authority| authority.rsplit_once('@')) else { continue };
        if user.split_once(':').is_some_and(|(_, password)| !password.is_empty()) {
            found.push(Span { start: at + 3, end: at + 3 + user.len(), kind: Kind::Credentials });
        }
    }
}

fn given(hit: &Captures<'_>) -> Option<Range<usize>> {
    let (by, value) = (hit.name("by")?.as_str(), hit.name("value")?);
    let text = value.as_str().trim_end_matches(['.', ')', '}', '!', '?', '\\', ':']);
    let quoted = hit.name("quote").is_some();
    let name = hit[0].split(['=', ':']).next().unwrap_or_default().trim();
    // An argument that is passed on: `password=user_password`, `token=TOKEN`, `token: text_pb2.Token`.
    let passed_on = name.eq_ignore_ascii_case(text) || text.contains('_') && text.split(['_', '.']).all(is_short_name);
    // After others than passwords, a word may be anything: `token=each`.
    let sure = quoted
        || by == "=" && name.get(..1).is_some_and(|first| first.eq_ignore_ascii_case("p")) && !name.ends_with("key");
    (text.len() >= 4 && (quoted || !passed_on) && is_secret(text, sure))
        .then(|| value.start()..value.start() + text.len())
}

/// Whether a value is one, and not the code or the words that also stand there.
fn is_secret(value: &str, sure: bool) -> bool {
    let code = value.contains(['(', '{', '$', '%', '*']) || value.starts_with(['<', '\\', '/', '.', '=', ':']);
    let kind = ["none", "null", "true", "false", "string", "str", "undefined", "required", "optional", "text", "bytes"];
    let word = kind.iter().any(|word| value.eq_ignore_ascii_case(word));
    let named = value.contains('.') && value.split('.').all(is_name) || value.contains('|');
    let mixed = has_digit(value) && value.bytes().any(|byte| !byte.is_ascii_digit());
    !code
        && !word
        && !named
        && (mixed && value.len() >= 6 || sure && value.bytes().any(|byte| byte.is_ascii_alphabetic()))
}

/// Part of a path in code, such as `os.environ`.
fn is_name(part: &str) -> bool {
    let first = part.bytes().next();
    first.is_some_and(|byte| byte.is_ascii_alphabetic())
        && part.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

/// The same, or as short as `pb2`.
fn is_short_name(part: &str) -> bool {
    let letter_first = part.starts_with(|first: char| first.is_ascii_alphabetic());
    is_name(part) || part.len() <= 4 && letter_first && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A word of sixteen letters is none.
fn carried(hit: &Captures<'_>) -> Option<Range<usize>> {
    let token = hit.name("bearer").or_else(|| hit.name("basic"))?;
    let mixed = token.as_str().bytes().any(|byte| !byte.is_ascii_lowercase());
    mixed.then(|| token.range())
}
