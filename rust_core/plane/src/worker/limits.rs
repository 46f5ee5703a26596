//! What a call may bring, checked before any work is done.

use super::config::Limits;
use crate::error::Error;

impl Limits {
    /// At least one text, not too many, none too large.
    pub fn check(&self, field: &'static str, texts: &[String]) -> Result<(), Error> {
        if texts.is_empty() {
            return Err(Error::EmptyInput { field });
        }
        if texts.len() > self.max_texts {
            return Err(Error::TooManyInputs { field, limit: self.max_texts, actual: texts.len() });
        }
        let sized = |(index, text): (usize, &String)| self.check_size(|| format!("{field}[{index}]"), text);
        texts.iter().enumerate().try_for_each(sized)
    }

    /// One text that is not too large; `field` names it in the error.
    pub fn check_size(&self, field: impl FnOnce() -> String, text: &str) -> Result<(), Error> {
        let (limit, actual) = (self.max_text_bytes, text.len());
        if actual > limit { Err(Error::TextTooLarge { field: field(), limit, actual }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_receive_bytes: 100, max_texts: 2, max_text_bytes: 3, queue_limit: 4 };

    fn check(texts: &[&str]) -> Result<(), Error> {
        LIMITS.check("texts", &texts.iter().map(|t| t.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn an_empty_string_is_a_text_but_an_empty_list_is_not_a_call() {
        assert_eq!(check(&[""]), Ok(()));
        assert_eq!(check(&[]), Err(Error::EmptyInput { field: "texts" }));
    }

    #[test]
    fn too_many_and_too_large_say_how_much_is_taken() {
        assert_eq!(check(&["a"; 3]), Err(Error::TooManyInputs { field: "texts", limit: 2, actual: 3 }));
        let large = Error::TextTooLarge { field: "texts[1]".into(), limit: 3, actual: 4 };
        assert_eq!(check(&["a", "abcd"]), Err(large));
    }
}
