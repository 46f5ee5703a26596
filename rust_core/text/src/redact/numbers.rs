//! What is made of digits: cards, IBANs, social security numbers, IP addresses of version 4, phone numbers.
//!
//! The text is read once for its groups of digits; a find is some neighbouring groups whose lengths, separators and
//! checksum fit.  Groups are looked at from left to right, each for the kinds in the order of how sure they are.

use super::{Kind, Span, phone, words};

/// What may stand between two groups of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    Space,
    Dash,
    Dot,
    Slash,
    /// A bracket, with or without a space or dash beside it.
    Bracket,
}

/// Digits without anything between them.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    pub start: usize,
    pub end: usize,
    /// To the next group; none where something else stands between them.
    pub gap: Option<Gap>,
}

impl Group {
    pub fn len(&self) -> usize {
        self.end - self.start
    }
}

/// The groups of a text.
pub struct Groups<'a> {
    pub text: &'a str,
    pub all: Vec<Group>,
}

impl<'a> Groups<'a> {
    fn of(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let (mut all, mut at): (Vec<Group>, usize) = (Vec::new(), 0);
        while let Some(skipped) = bytes[at..].iter().position(u8::is_ascii_digit) {
            let start = at + skipped;
            let length = bytes[start..].iter().position(|byte| !byte.is_ascii_digit());
            let end = length.map_or(bytes.len(), |length| start + length);
            if let Some(last) = all.last_mut() {
                last.gap = gap(&text[last.end..start]);
            }
            all.push(Group { start, end, gap: None });
            at = end;
        }
        Self { text, all }
    }

    pub fn len_at(&self, index: usize) -> usize {
        self.all.get(index).map_or(0, Group::len)
    }

    pub fn digits(&self, from: usize, count: usize) -> impl DoubleEndedIterator<Item = u8> + '_ {
        self.all[from..from + count].iter().flat_map(|group| self.bytes(group)).map(|byte| byte - b'0')
    }

    pub fn bytes(&self, group: &Group) -> &'a [u8] {
        &self.text.as_bytes()[group.start..group.end]
    }

    /// Whether groups of these lengths stand here with the same gap between them all.
    pub fn has_form(&self, from: usize, lengths: &[usize], gap: Gap) -> bool {
        let Some(groups) = self.all.get(from..from + lengths.len()) else { return false };
        let fits = groups.iter().zip(lengths).all(|(group, length)| group.len() == *length);
        fits && groups[..groups.len() - 1].iter().all(|group| group.gap == Some(gap))
    }

    /// The gap before a group.
    pub fn gap_before(&self, index: usize) -> Option<Gap> {
        index.checked_sub(1).and_then(|before| self.all[before].gap)
    }

    /// Whether groups that begin at `from` stand for themselves: no further one is joined by `gap`.
    pub fn alone(&self, from: usize, count: usize, gap: Gap) -> bool {
        self.gap_before(from) != Some(gap) && self.all[from + count - 1].gap != Some(gap)
    }

    /// Whether words may begin and end around these groups.
    pub fn bounded(&self, from: usize, count: usize) -> bool {
        let (start, end) = (self.all[from].start, self.all[from + count - 1].end);
        words::begins(self.text, start) && words::ends(self.text, end)
    }
}

fn gap(between: &str) -> Option<Gap> {
    match between {
        " " | "\u{a0}" | "\u{202f}" => Some(Gap::Space),
        "-" | "\u{2010}" | "\u{2011}" | "\u{2013}" => Some(Gap::Dash),
        "." => Some(Gap::Dot),
        "/" | " / " => Some(Gap::Slash),
        ")" | ") " | ")-" | " (" | "(" | "-(" | " - " => Some(Gap::Bracket),
        _ => None,
    }
}

type Finder = fn(&Groups<'_>, usize) -> Option<(Span, usize)>;

/// In the order of how sure they are; each gives what it found from a group on, and how many groups that is.
const FINDERS: [Finder; 5] = [iban, card, ssn, ipv4, phone::find];

pub fn find(text: &str, found: &mut Vec<Span>) {
    let groups = Groups::of(text);
    let mut index = 0;
    while index < groups.all.len() {
        let hit = FINDERS.iter().find_map(|finder| finder(&groups, index));
        index += hit.map_or(1, |(_, count)| count);
        found.extend(hit.map(|(span, _)| span));
    }
}

fn span(groups: &Groups<'_>, from: usize, count: usize, kind: Kind) -> (Span, usize) {
    (Span { start: groups.all[from].start, end: groups.all[from + count - 1].end, kind }, count)
}

/// How the digits of a card are grouped where they are.
const CARDS: [&[usize]; 5] = [&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 3, 3, 3]];

fn card(groups: &Groups<'_>, at: usize) -> Option<(Span, usize)> {
    let solid = (13..=19).contains(&groups.len_at(at)) && !is_fraction(groups, at);
    if solid && groups.bounded(at, 1) && is_card(groups, at, 1) {
        return Some(span(groups, at, 1, Kind::Card));
    }
    let gap = groups.all[at].gap?;
    let form = CARDS.iter().find(|form| groups.has_form(at, form, gap) && is_card(groups, at, form.len()))?;
    let joined = gap != Gap::Space && !groups.alone(at, form.len(), gap);
    (!joined && groups.bounded(at, form.len())).then(|| span(groups, at, form.len(), Kind::Card))
}

/// Digits behind a decimal point.
fn is_fraction(groups: &Groups<'_>, at: usize) -> bool {
    groups.gap_before(at) == Some(Gap::Dot)
}

fn is_card(groups: &Groups<'_>, at: usize, count: usize) -> bool {
    let length: usize = groups.all[at..at + count].iter().map(Group::len).sum();
    let start = groups.digits(at, count).take(6).fold(0, |number, digit| 10 * number + u32::from(digit));
    is_issued(start, length) && luhn(groups.digits(at, count))
}

/// The ranges of ISO/IEC 7812 that issuers of cards have, by the first six digits.
fn is_issued(start: u32, length: usize) -> bool {
    match start {
        400_000..=499_999 => matches!(length, 13 | 16 | 19),
        510_000..=559_999 | 222_100..=272_099 => length == 16,
        340_000..=349_999 | 370_000..=379_999 => length == 15,
        300_000..=305_999 | 309_500..=309_599 | 360_000..=369_999 | 380_000..=399_999 => (14..=19).contains(&length),
        352_800..=358_999 => (16..=19).contains(&length),
        601_100..=601_199 | 644_000..=659_999 | 620_000..=629_999 => (16..=19).contains(&length),
        500_000..=509_999 | 560_000..=699_999 => (13..=19).contains(&length),
        _ => false,
    }
}

/// Luhn's rule (ISO/IEC 7812-1): from the right, every second digit doubled and its digits added.
fn luhn(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let weigh = |(place, digit): (usize, u8)| match (place % 2, digit) {
        (0, digit) => u32::from(digit),
        (_, digit @ 0..=4) => 2 * u32::from(digit),
        (_, digit) => 2 * u32::from(digit) - 9,
    };
    digits.rev().enumerate().map(weigh).sum::<u32>().is_multiple_of(10)
}

/// Lengths by country: the IBAN registry.
const IBANS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27\
GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MR27MT31\
MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20";

/// Two letters, two digits, and what the country has: from the digits on, because digits are rarer.
fn iban(groups: &Groups<'_>, at: usize) -> Option<(Span, usize)> {
    let (text, digits) = (groups.text.as_bytes(), groups.all[at].start);
    let start = digits.checked_sub(2).filter(|start| text[*start..digits].iter().all(u8::is_ascii_alphabetic))?;
    let length = length_of(&text[start..digits])?;
    let end = (groups.len_at(at) >= 2 && words::begins(groups.text, start)).then(|| reach(text, start, length))??;
    let valid = words::ends(groups.text, end) && mod_97(&text[start..end]);
    let count = groups.all[at..].iter().take_while(|group| group.start < end).count();
    valid.then_some((Span { start, end, kind: Kind::Iban }, count))
}

fn length_of(country: &[u8]) -> Option<usize> {
    let entry = IBANS.as_bytes().chunks_exact(4).find(|entry| entry[..2].eq_ignore_ascii_case(country))?;
    Some(usize::from(entry[2] - b'0') * 10 + usize::from(entry[3] - b'0'))
}

/// Where so many letters and digits end, with single spaces or dashes between them.
fn reach(text: &[u8], start: usize, length: usize) -> Option<usize> {
    let (mut left, mut at) = (length, start);
    while left > 0 {
        match *text.get(at)? {
            byte if byte.is_ascii_alphanumeric() => left -= 1,
            b' ' | b'-' if at > start && text[at - 1].is_ascii_alphanumeric() => {}
            _ => return None,
        }
        at += 1;
    }
    Some(at)
}

/// ISO 7064: the first four go to the end, letters count from 10, the rest of a division by 97 is 1.
fn mod_97(iban: &[u8]) -> bool {
    let marks: Vec<u8> = iban.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
    let turned = marks[4..].iter().chain(&marks[..4]);
    let value =
        |mark: u8| u32::from(if mark.is_ascii_digit() { mark - b'0' } else { mark.to_ascii_uppercase() - b'A' + 10 });
    let rest = turned.fold(0_u32, |rest, mark| match value(*mark) {
        digit @ 0..=9 => (rest * 10 + digit) % 97,
        letter => (rest * 100 + letter) % 97,
    });
    rest == 1
}

/// Of the United States: `ddd-dd-dddd`, and without dashes where a word says so.
fn ssn(groups: &Groups<'_>, at: usize) -> Option<(Span, usize)> {
    let said = || words::precede(groups.text, groups.all[at].start, &["ssn", "ssns", "security"]);
    let dashed = groups.has_form(at, &[3, 2, 4], Gap::Dash) && groups.alone(at, 3, Gap::Dash);
    let count = match () {
        () if dashed => 3,
        () if groups.has_form(at, &[3, 2, 4], Gap::Space) && said() => 3,
        () if groups.len_at(at) == 9 && said() => 1,
        () => return None,
    };
    let number = groups.digits(at, count).fold(0_u32, |number, digit| 10 * number + u32::from(digit));
    let (area, group, serial) = (number / 1_000_000, number / 10_000 % 100, number % 10_000);
    let given = !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0;
    (given && groups.bounded(at, count)).then(|| span(groups, at, count, Kind::Ssn))
}

/// Not a version (`v1.2.3.4`), nor an address that is everybody's: this machine's, a mask.
fn ipv4(groups: &Groups<'_>, at: usize) -> Option<(Span, usize)> {
    let octets = groups.all.get(at..at + 4)?;
    let dotted = octets[..3].iter().all(|group| group.gap == Some(Gap::Dot)) && groups.alone(at, 4, Gap::Dot);
    if !dotted || !groups.bounded(at, 4) || !octets.iter().all(|group| is_octet(groups.bytes(group))) {
        return None;
    }
    let versions = ["version", "versions", "release", "build", "ver", "v"];
    let everybodys = matches!(groups.bytes(&octets[0]), b"0" | b"127" | b"255");
    let version = words::precede(groups.text, octets[0].start, &versions);
    (!everybodys && !version).then(|| span(groups, at, 4, Kind::Ip))
}

fn is_octet(digits: &[u8]) -> bool {
    let number = digits.iter().take(4).fold(0_u32, |number, digit| 10 * number + u32::from(digit - b'0'));
    digits.len() <= 3 && number <= 255 && (digits.len() == 1 || digits[0] != b'0')
}
