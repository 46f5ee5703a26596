//! Personal data and secrets in text, replaced by their kind in brackets: `write to [EMAIL]`.
//!
//! Each kind has a finder that knows its form and, where the form has one, its checksum: a run of digits is a card only
//! by Luhn's rule and the ranges that issuers have, an IBAN only by its country's length and mod 97.  So a long number, a
//! version or a table of figures stays as it is: what is replaced needlessly makes a record useless, and then nobody
//! keeps the mode on.  What has no form of its own (names, streets, dates of birth) is not found here; that takes a
//! model, and a model is wrong without an error.
//!
//! Linear in the text: every finder looks a bounded way to both sides of what made it look (a digit, an `@`, a `://`, a
//! known prefix), or is a regular expression without backtracking.
//!
//! Replacing may leave something new to find (what stood before a card now stands before a bracket), so it is done
//! again until nothing is found.

use std::borrow::Cow;

mod address;
mod email;
mod numbers;
mod phone;
mod secrets;
mod words;

/// Nothing in sense needs more; text made to need more is left after so many.
const ROUNDS: usize = 8;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // as they are called
pub enum Kind {
    Email,
    Phone,
    Card,
    Iban,
    Ip,
    Ssn,
    /// Keys, tokens, passwords.
    Secret,
    /// `user:password` in a URL.
    Credentials,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Email, Self::Phone, Self::Card, Self::Iban, Self::Ip, Self::Ssn, Self::Secret, Self::Credentials];

    /// As it is counted.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Ip => "ip",
            Self::Ssn => "ssn",
            Self::Secret => "secret",
            Self::Credentials => "credentials",
        }
    }

    /// What stands in its place.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Email => "[EMAIL]",
            Self::Phone => "[PHONE]",
            Self::Card => "[CARD]",
            Self::Iban => "[IBAN]",
            Self::Ip => "[IP]",
            Self::Ssn => "[SSN]",
            Self::Secret => "[SECRET]",
            Self::Credentials => "[CREDENTIALS]",
        }
    }
}

/// How many of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u32; Kind::ALL.len()]);

impl Counts {
    /// Of one kind.
    pub fn of(&self, kind: Kind) -> u32 {
        self.0[kind as usize]
    }

    /// The kinds that were found, and how often.
    pub fn found(&self) -> impl Iterator<Item = (Kind, u32)> {
        Kind::ALL.into_iter().map(|kind| (kind, self.of(kind))).filter(|(_, count)| *count > 0)
    }
}

/// Where something is, in bytes.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    kind: Kind,
}

/// The text without what is personal in it, and how much that was; borrowed where there was nothing.
pub fn redact(text: &str) -> (Cow<'_, str>, Counts) {
    let mut counts = Counts::default();
    let mut text = Cow::Borrowed(text);
    for _ in 0..ROUNDS {
        let found = find(&text);
        if found.is_empty() {
            break;
        }
        for span in &found {
            counts.0[span.kind as usize] += 1;
        }
        text = Cow::Owned(replaced(&text, &found));
    }
    (text, counts)
}

/// Ascending, without overlaps: of two that overlap the first counts, for as far as both reach.
fn find(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    secrets::find(text, &mut found);
    email::find(text, &mut found);
    numbers::find(text, &mut found);
    address::find(text, &mut found);
    found.sort_unstable_by_key(|span| (span.start, usize::MAX - span.end));
    found.dedup_by(|next, kept| {
        let overlaps = next.start < kept.end;
        // What follows a URL's password is its host, and no part of an address.
        if overlaps && kept.kind != Kind::Credentials {
            kept.end = kept.end.max(next.end);
        }
        overlaps
    });
    found
}

fn replaced(text: &str, spans: &[Span]) -> String {
    let mut result = String::with_capacity(text.len());
    let mut from = 0;
    for span in spans {
        result.push_str(&text[from..span.start]);
        result.push_str(span.kind.placeholder());
        from = span.end;
    }
    result.push_str(&text[from..]);
    result
}

#[cfg(test)]
mod tests;
