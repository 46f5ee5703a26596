//! What finding personal data costs, per KB: `cargo run --release -p waypost-text --example redact_pace`.
//!
//! Measured is `redact` alone, on text that is all words, on code, and on text with something to find in every line.

use std::{hint::black_box, time::Instant};

use waypost_text::redact::redact;

const WORDS: &str = "Summarise the report in three sentences, and say which of its 12 findings are new. ";
const CODE: &str = "for i in range(0, 100):\n    total += table[i][\"name\"] * 3.14 + f(x=1, y=2)  # see line 42\n";
const PERSONAL: &str = "Write to eve@example.com or +49 30 123456, from 203.0.113.7; card 4111 1111 1111 1111.\n";
const BYTES: usize = 16 << 10;
const ROUNDS: u32 = 2000;

fn main() {
    for (name, line) in [("words", WORDS), ("code", CODE), ("personal", PERSONAL)] {
        let text: String = line.chars().cycle().take(BYTES).collect();
        let began = Instant::now();
        for _ in 0..ROUNDS {
            black_box(redact(black_box(&text)));
        }
        let per_kb = began.elapsed().as_nanos() / u128::from(ROUNDS) / (BYTES as u128 >> 10);
        println!("{name:>8}: {per_kb} ns per KB");
    }
}
