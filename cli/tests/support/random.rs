//! Reproducible randomness: every random test prints the seed that repeats it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A stream of numbers that depends on its seed alone (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Takes the seed from `TENURE_TEST_SEED`, or from the clock, and prints it.
    pub fn seeded(test: &str) -> Self {
        let seed = match std::env::var("TENURE_TEST_SEED") {
            Ok(text) => text.parse().expect("TENURE_TEST_SEED is a number"),
            Err(_) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                now.as_nanos() as u64
            }
        };
        println!("{test}: TENURE_TEST_SEED={seed}");
        Self(seed)
    }

    /// Another stream, for another thread.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}
