//! Names for calls that bring none: 64 bits nobody else uses, in hexadecimal.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;

/// Gives out names.
#[derive(Debug)]
pub struct Names(AtomicU64);

impl Default for Names {
    /// From a point at random, so that routers do not repeat each other.
    fn default() -> Self {
        Self(AtomicU64::new(rand::random()))
    }
}

impl Names {
    /// The next.
    pub fn next(&self) -> HeaderValue {
        // Odd, so that no name comes twice in 2^64; spread, so that neighbours look different.
        let next = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mut text = [0; 16];
        for (index, digit) in text.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(next >> (60 - 4 * index)) as usize & 15];
        }
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("0"))
    }
}
