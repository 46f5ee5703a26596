//! Echo.
pub(super) fn is(_prompt: &str, _answer: &str) -> bool {
    false
}
