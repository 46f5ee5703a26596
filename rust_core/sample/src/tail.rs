//! The end of an answer that cannot be sent yet: half a character, or what may become a stop string.

use memchr::memmem;

/// Holds back what is not certain.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    held: Vec<u8>,
    stops: Vec<Vec<u8>>,
}

/// What became certain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emitted {
    /// Whole characters; bytes that are no UTF-8 became U+FFFD.
    pub text: String,
    /// A stop string came; `text` ends before it.
    pub stopped: bool,
}

impl Tail {
    /// An answer that ends before the first of `stops`, none of them empty.
    pub fn new(stops: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        Self { held: Vec::new(), stops: stops.into_iter().map(Into::into).collect() }
    }

    /// Takes the bytes of the next token.
    pub fn push(&mut self, bytes: &[u8]) -> Emitted {
        self.held.extend_from_slice(bytes);
        if let Some(at) = self.first_stop() {
            self.held.truncate(at);
            return Emitted { text: self.flush(), stopped: true };
        }
        let certain = self.held.len() - self.possible_stop();
        let (text, used) = characters(&self.held[..certain]);
        self.held.drain(..used);
        Emitted { text, stopped: false }
    }

    /// The rest, at the end of the answer; half a character, where the limit cut it, is none.
    pub fn flush(&mut self) -> String {
        characters(&std::mem::take(&mut self.held)).0
    }

    fn first_stop(&self) -> Option<usize> {
        self.stops.iter().filter_map(|stop| memmem::find(&self.held, stop)).min()
    }

    /// Length of the longest end that begins a stop string.
    fn possible_stop(&self) -> usize {
        self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0)
    }
}

/// The longest proper beginning of `stop` that `held` ends with.
fn overlap(held: &[u8], stop: &[u8]) -> usize {
    let most = held.len().min(stop.len() - 1);
    (1..=most).rev().find(|length| held.ends_with(&stop[..*length])).unwrap_or(0)
}

/// The whole characters at the start of `bytes`, and how many bytes they took.
fn characters(bytes: &[u8]) -> (String, usize) {
    let mut text = String::new();
    let mut used = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        used += chunk.valid().len();
        // What is cut off at the very end may be completed by the next token.
        if used + chunk.invalid().len() == bytes.len() && is_cut_off(chunk.invalid()) {
            break;
        }
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            used += chunk.invalid().len();
        }
    }
    (text, used)
}

fn is_cut_off(bytes: &[u8]) -> bool {
    !bytes.is_empty() && std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(stops: &[&str], parts: &[&[u8]]) -> (String, bool) {
        let mut tail = Tail::new(stops.iter().map(|stop| stop.as_bytes()));
        let mut text = String::new();
        for part in parts {
            let emitted = tail.push(part);
            text.push_str(&emitted.text);
            if emitted.stopped {
                return (text, true);
            }
        }
        (text + &tail.flush(), false)
    }

    #[test]
    fn a_stop_string_is_found_across_tokens_and_not_sent() {
        assert_eq!(all(&["END"], &[b"abc E", b"N", b"D tail"]), ("abc ".into(), true));
        assert_eq!(all(&["\n\n", "END"], &[b"a\n", b"b EN", b"C"]), ("a\nb ENC".into(), false));
    }

    #[test]
    fn the_earliest_of_several_stops_counts() {
        assert_eq!(all(&["xyz", "y"], &[b"axyz"]), ("a".into(), true));
    }

    #[test]
    fn what_may_become_a_stop_waits_and_the_rest_does_not() {
        let mut tail = Tail::new(["STOP"]);
        assert_eq!(tail.push(b"go ST").text, "go ");
        assert_eq!(tail.push(b"AND").text, "STAND");
    }

    #[test]
    fn characters_are_never_split_and_broken_ones_replaced() {
        let mut tail = Tail::new(Vec::<Vec<u8>>::new());
        assert_eq!(tail.push(&"é€".as_bytes()[..3]).text, "é");
        assert_eq!(tail.push(&"é€".as_bytes()[3..]).text, "€");
        assert_eq!(tail.push(b"a\xffb\xf0\x9f").text, "a\u{fffd}b");
        assert_eq!(tail.flush(), "");
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_text_is_the_same(text in "[a-cé€🙂 ]{0,40}", cuts in prop::collection::vec(1usize..5, 0..40), stop in "[a-c]{1,3}") {
            let mut parts: Vec<&[u8]> = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (part, left) = rest.split_at(cut.min(rest.len()));
                parts.push(part);
                rest = left;
            }
            parts.push(rest);
            let expected = text.split(&stop).next().unwrap_or_default().to_string();
            let (got, stopped) = all(&[&stop], &parts);
            prop_assert_eq!(stopped, text.contains(&stop));
            prop_assert_eq!(got, expected);
        }
    }
}
