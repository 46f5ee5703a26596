//! Passages are cut where people would cut them, and cite what they show.

use proptest::prelude::*;
use waypost_text::passages;

const TEXT: &str = "The harbour opens at six. Ferries leave every hour, weather permitting. \
                    Tickets are sold on board. Dogs travel free. In winter the last ferry leaves at four.";

fn shown(text: &str, query: &str, count: usize, most: usize) -> Vec<String> {
    let cut = |range: std::ops::Range<usize>| text.chars().skip(range.start).take(range.len()).collect();
    passages(text, query, count, most).into_iter().map(cut).collect()
}

#[test]
fn whole_sentences_with_most_of_the_words_come_first() {
    assert_eq!(shown(TEXT, "last ferry in winter", 1, 60), ["In winter the last ferry leaves at four."]);
    let two = shown(TEXT, "dog tickets", 2, 30);
    assert_eq!(two, ["Tickets are sold on board.", "Dogs travel free."]);
}

#[test]
fn neighbours_are_laid_together_as_far_as_they_fit() {
    assert_eq!(shown(TEXT, "tickets for a dog", 1, 50), ["Tickets are sold on board. Dogs travel free."]);
}

#[test]
fn two_words_are_better_than_one_repeated() {
    assert_eq!(shown("ferry ferry ferry ferry. The winter ferry.", "winter ferry", 1, 25), ["The winter ferry."]);
}

#[test]
fn without_a_word_of_the_query_the_beginning_is_shown() {
    assert_eq!(shown(TEXT, "zebra", 3, 30), ["The harbour opens at six."]);
    assert_eq!(shown("", "zebra", 3, 30), [""; 0]);
    assert_eq!(shown(TEXT, "ferry", 0, 30), [""; 0]);
}

#[test]
fn long_sentences_are_cut_after_words_and_long_words_anywhere() {
    assert_eq!(shown("one two three four five", "three", 1, 10), ["three four"]);
    assert_eq!(shown(&"x".repeat(25), "y", 1, 10), ["x".repeat(10)]);
    assert_eq!(shown("東京都庁舎は新宿にある。北京は遠い。", "北京", 1, 8), ["北京は遠い。"]);
}

proptest! {
    #[test]
    fn passages_are_of_the_text_not_longer_than_asked_and_apart(
        text in "(\\PC|[ab .\n]){0,80}", query in "[ab ]{0,6}", count in 0..4_usize, most in 0..20_usize
    ) {
        let found = passages(&text, &query, count, most);
        prop_assert!(found.len() <= count);
        for (index, one) in found.iter().enumerate() {
            prop_assert!(one.start < one.end && one.end <= text.chars().count() && one.len() <= most.max(1));
            prop_assert!(found[..index].iter().all(|it| one.end <= it.start || it.end <= one.start));
        }
    }
}
