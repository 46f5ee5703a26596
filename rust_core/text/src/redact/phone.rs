//! Phone numbers: by their `+`, by a form that a country commonly writes, or by a word before them.
//!
//! The lengths are those of ITU-T E.164.  A plain run of digits is none by itself: orders, accounts and years look the
//! same.

use super::{
    Kind, Span,
    numbers::{Gap, Group, Groups},
    words,
};

/// Digits of an international number.
const INTERNATIONAL: std::ops::RangeInclusive<usize> = 8..=15;
/// Digits of a national one with its leading 0.
const NATIONAL: std::ops::RangeInclusive<usize> = 9..=12;
/// Digits where a word says that it is one.
const SAID: std::ops::RangeInclusive<usize> = 7..=15;
/// Groups of one number.
const MOST_GROUPS: usize = 7;
/// In some languages, what stands before a number.
const WORDS: [&str; 22] = [
    "tel",
    "tele",
    "telephone",
    "phone",
    "phones",
    "mobile",
    "cell",
    "cellphone",
    "call",
    "fax",
    "whatsapp",
    "sms",
    "dial",
    "telefon",
    "telefono",
    "teléfono",
    "téléphone",
    "telefone",
    "handy",
    "mobil",
    "móvil",
    "celular",
];

pub fn find(groups: &Groups<'_>, at: usize) -> Option<(Span, usize)> {
    let count = international(groups, at)
        .or_else(|| north_american(groups, at))
        .or_else(|| pairs(groups, at))
        .or_else(|| national(groups, at))
        .or_else(|| said(groups, at))?;
    words::ends(groups.text, groups.all[at + count - 1].end).then(|| (span(groups, at, count), count))
}

/// With the plus or bracket before it.
fn span(groups: &Groups<'_>, at: usize, count: usize) -> Span {
    let start = groups.all[at].start;
    let before = &groups.text[..start];
    let lead = ["(+", "+(", "+", "("].into_iter().find(|lead| before.ends_with(lead)).map_or(0, str::len);
    let end = groups.all[at + count - 1].end;
    // A bracket that opens inside the number is left to it, and so is one that closes behind it.
    let closes = lead > 0 && before.ends_with('(') && count == 1 && groups.text[end..].starts_with(')');
    Span { start: start - lead, end: end + usize::from(closes), kind: Kind::Phone }
}

/// `+49 30 123456`, `+1 (555) 123-4567`, `0049 30 123456`.
fn international(groups: &Groups<'_>, at: usize) -> Option<usize> {
    let first = groups.bytes(&groups.all[at]);
    let before = groups.text[..groups.all[at].start].trim_end_matches('(');
    let plus = before.ends_with('+') && first[0] != b'0' && words::begins(groups.text, before.len() - 1);
    let zeros = first.len() <= 5 && first.starts_with(b"00") && first.get(2).is_some_and(|digit| *digit != b'0');
    let count = most(groups, at, if zeros { 17 } else { *INTERNATIONAL.end() });
    let digits: usize = digits(groups, at, count);
    match () {
        () if plus && INTERNATIONAL.contains(&digits) => Some(count),
        () if zeros && groups.gap_before(at).is_none() && bounded(groups, at) && count >= 3 && digits >= 10 => {
            Some(count)
        }
        () => None,
    }
}

/// As many neighbouring groups as are still one number.
fn most(groups: &Groups<'_>, at: usize, digits: usize) -> usize {
    let (mut count, mut sum) = (1, groups.len_at(at));
    while count < MOST_GROUPS && groups.all[at + count - 1].gap.is_some() && sum + groups.len_at(at + count) <= digits {
        sum += groups.len_at(at + count);
        count += 1;
    }
    count
}

fn digits(groups: &Groups<'_>, at: usize, count: usize) -> usize {
    groups.all[at..at + count].iter().map(Group::len).sum()
}

fn bounded(groups: &Groups<'_>, at: usize) -> bool {
    words::begins(groups.text, groups.all[at].start)
}

/// `(555) 123-4567`, `555-123-4567`, `1.555.123.4567`; neither area nor exchange begins with 0 or 1.
fn north_american(groups: &Groups<'_>, at: usize) -> Option<usize> {
    let led = groups.bytes(&groups.all[at]) == b"1" && groups.all[at].gap.is_some();
    let area = at + usize::from(led);
    let three = groups.all.get(area..area + 3)?;
    let sized = three.iter().map(Group::len).eq([3, 3, 4]);
    let starts = three[..2].iter().all(|group| groups.bytes(group)[0] >= b'2');
    if !sized || !starts || !bounded(groups, at) {
        return None;
    }
    let (first, second) = (three[0].gap?, three[1].gap?);
    let bracketed = first == Gap::Bracket && matches!(second, Gap::Dash | Gap::Space | Gap::Dot);
    let same = first == second && matches!(first, Gap::Dash | Gap::Space | Gap::Dot);
    let joined = groups.gap_before(at) == Some(second) || three[2].gap == Some(second);
    ((bracketed || same) && !joined).then_some(3 + usize::from(led))
}

/// `06 12 34 56 78`.
fn pairs(groups: &Groups<'_>, at: usize) -> Option<usize> {
    let gap = groups.all[at].gap.filter(|gap| matches!(gap, Gap::Space | Gap::Dot | Gap::Dash))?;
    let first = groups.bytes(&groups.all[at]);
    let french = first[0] == b'0' && first.get(1).is_some_and(|digit| *digit != b'0');
    let form = groups.has_form(at, &[2; 5], gap) && groups.alone(at, 5, gap);
    (french && form && bounded(groups, at)).then_some(5)
}

/// `030 1234567`, `(020) 7946 0958`, `0171/1234567`, `07700 900123`.
fn national(groups: &Groups<'_>, at: usize) -> Option<usize> {
    let first = groups.bytes(&groups.all[at]);
    let trunk = first[0] == b'0' && first.get(1).is_some_and(|digit| *digit != b'0') && (2..=5).contains(&first.len());
    let joined = matches!(groups.gap_before(at), Some(Gap::Dash | Gap::Dot | Gap::Slash | Gap::Space));
    if !trunk || joined || !bounded(groups, at) {
        return None;
    }
    groups.all[at].gap?;
    let inner = groups.all.get(at + 1)?.gap;
    let mut count = 2;
    while inner.is_some()
        && count < 5
        && groups.all[at + count - 1].gap == inner
        && groups.all.get(at + count).is_some()
    {
        count += 1;
    }
    let longer = groups.all[at + count - 1].gap.is_some() && groups.all[at + count - 1].gap == inner;
    let long_enough = groups.all[at + 1..at + count].iter().any(|group| group.len() >= 3);
    (!longer && long_enough && NATIONAL.contains(&digits(groups, at, count))).then_some(count)
}

/// After "phone", "call", …
fn said(groups: &Groups<'_>, at: usize) -> Option<usize> {
    let count = most(groups, at, *SAID.end());
    let enough = SAID.contains(&digits(groups, at, count)) && bounded(groups, at) && !is_date(groups, at, count);
    (enough && words::precede(groups.text, groups.all[at].start, &WORDS)).then_some(count)
}

/// `2024-01-15`, `15/1/2024`, `2019-2024`.
fn is_date(groups: &Groups<'_>, at: usize, count: usize) -> bool {
    let is_year = |index: usize| {
        let digits = groups.bytes(&groups.all[index]);
        digits.len() == 4 && (digits.starts_with(b"19") || digits.starts_with(b"20"))
    };
    let short = |index: usize| groups.len_at(index) <= 2;
    match count {
        0 | 1 => false,
        2 => is_year(at) && is_year(at + 1),
        _ => is_year(at) && short(at + 1) && short(at + 2) || short(at) && short(at + 1) && is_year(at + 2),
    }
}
