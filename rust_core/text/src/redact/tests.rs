use proptest::prelude::*;

use super::*;

/// Text, and what is left of it.
fn cases() -> Vec<(String, String)> {
    let lines = include_str!("cases.tsv").lines().filter(|line| !line.starts_with('#'));
    let case = |line: &str| {
        let (text, left) = line.split_once('\t').expect("has two columns");
        let left = if left == "=" { text } else { left };
        (text.replace("\\n", "\n"), left.replace("\\n", "\n"))
    };
    lines.map(case).collect()
}

/// Those that come out otherwise.
fn wrong(cases: impl Iterator<Item = (String, String)>) -> Vec<String> {
    cases.map(|(text, left)| (redact(&text).0.into_owned(), left)).filter(|(a, b)| a != b).map(|(a, _)| a).collect()
}

#[test]
fn what_is_personal_is_found_and_only_that_is_replaced() {
    let personal: Vec<_> = cases().into_iter().filter(|(text, left)| text != left).collect();
    assert!(personal.len() > 80);
    assert_eq!(wrong(personal.into_iter()), Vec::<String>::new());
}

#[test]
fn what_only_looks_personal_stays() {
    let others: Vec<_> = cases().into_iter().filter(|(text, left)| text == left).collect();
    assert!(others.len() > 80);
    assert_eq!(wrong(others.into_iter()), Vec::<String>::new());
}

#[test]
fn code_that_passes_a_secret_on_has_none() {
    for code in [
        "def shown(token: generate_pb2.TokenLogprob) -> str:",
        "CreateTokenResponse(token=TOKEN, secret=SECRET)",
        "[Logprob(token=each) for each in ids]",
        r#"{"max_text_bytes": 1048576}"#,
        r#"(("text", "cores"), [("150000 100000\n", 1.5)])"#,
        "client_secret=client.secret and password=password",
    ] {
        assert_eq!(redact(code).0, code);
    }
    assert_eq!(redact("token=tok_a1b2c3d4e5 password=swordfish").0, "token=[SECRET] password=[SECRET]");
}

#[test]
fn each_kind_is_counted() {
    let (_, counts) = redact("a@b.io, c@d.io, 4111111111111111");
    assert_eq!(counts.found().collect::<Vec<_>>(), [(Kind::Email, 2), (Kind::Card, 1)]);
}

#[test]
fn text_without_any_is_the_same_text() {
    let text = "nothing here, not even 12345";
    assert!(matches!(redact(text), (Cow::Borrowed(same), _) if std::ptr::eq(same, text)));
}

/// A valid card: a prefix that issuers have, so many digits, the last by Luhn's rule.
fn card() -> impl Strategy<Value = String> {
    let ranges =
        prop_oneof![Just(("4", 16)), Just(("53", 16)), Just(("37", 15)), Just(("6011", 16)), Just(("2300", 16))];
    (ranges, prop::collection::vec(0_u32..10, 20)).prop_map(|((prefix, length), digits)| {
        let body: String = digits.iter().map(u32::to_string).take(length - 1 - prefix.len()).collect();
        let open = format!("{prefix}{body}");
        let doubled = |(place, digit): (usize, u32)| match (place % 2, digit) {
            (1, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        };
        let sum: u32 = open.bytes().rev().map(|byte| u32::from(byte - b'0')).enumerate().map(doubled).sum();
        format!("{open}{}", (10 - sum % 10) % 10)
    })
}

/// Pieces that finders look for, in any order.
fn crowded() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "@",
        ".",
        "-",
        " ",
        "+",
        "0",
        "1",
        "4111",
        "1111",
        "12",
        "555",
        "a",
        "de",
        "DE89",
        "://",
        ":",
        "password=",
        "\"",
        "sk-",
        "eyJ",
        "Bearer ",
        "-----BEGIN ",
        "PRIVATE KEY-----",
        "-----END ",
        "[",
        "]",
        "é",
        "例",
        "\\n",
        "\n",
        "x@y.zz",
        "(",
        ")",
        "/",
        "phone ",
        "ssn ",
        "123-45-6789",
        "10.1.2.3",
        "::",
        "fe80",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_taken_and_once_is_enough(text in prop_oneof![any::<String>(), crowded()]) {
        let (once, counts) = redact(&text);
        let (twice, none) = redact(&once);
        prop_assert_eq!(&once, &twice);
        prop_assert_eq!(none, Counts::default());
        prop_assert_eq!(matches!(once, Cow::Borrowed(_)), counts == Counts::default());
    }

    #[test]
    fn no_card_survives(before in "[a-z .,:;\"]{0,20}[ :\"]", card in card(), after in "[ ,;\"][a-z .,]{0,20}") {
        let text = format!("{before}{card}{after}");
        let (left, counts) = redact(&text);
        prop_assert!(!left.contains(&card));
        prop_assert_eq!(counts.of(Kind::Card), 1);
    }

    #[test]
    fn a_card_in_groups_does_not_survive_either(card in card().prop_filter("of four", |card| card.len() == 16)) {
        for gap in [" ", "-", "\u{a0}"] {
            let groups: Vec<&str> = (0..4).map(|group| &card[4 * group..4 * group + 4]).collect();
            let text = groups.join(gap);
            prop_assert_eq!(redact(&text).0, "[CARD]");
        }
    }
}
