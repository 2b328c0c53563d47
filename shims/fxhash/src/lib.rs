//! The small multiplicative hash of `fxhash`, see shims/README.md.
//!
//! The mixing step is the published one, because the order of voters in the consensus library's
//! configurations follows from it and must not depend on which of the two crates was built.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// Odd factor that spreads each word's low bits over the high ones.
const FACTOR: u64 = 0x51_7c_c1_b7_27_22_0a_95;

/// A fast hasher with a fixed seed: the same keys give the same order in every process.
#[derive(Clone, Copy, Debug, Default)]
pub struct FxHasher {
    state: u64,
}

/// Builds [`FxHasher`]s.
pub type FxBuildHasher = BuildHasherDefault<FxHasher>;
/// A map over [`FxHasher`].
pub type FxHashMap<K, V> = HashMap<K, V, FxBuildHasher>;
/// A set over [`FxHasher`].
pub type FxHashSet<T> = HashSet<T, FxBuildHasher>;

impl FxHasher {
    fn mix(&mut self, word: u64) {
        self.state = (self.state.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    }
}

impl Hasher for FxHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let (halves, rest) = rest.as_chunks::<4>();
        for half in halves {
            self.mix(u64::from(u32::from_le_bytes(*half)));
        }
        for byte in rest {
            self.mix(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.mix(u64::from(word));
    }

    fn write_u16(&mut self, word: u16) {
        self.mix(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_a_product_with_the_factor() {
        let mut hasher = FxHasher::default();
        hasher.write_u64(1);
        assert_eq!(hasher.finish(), FACTOR);
        hasher.write_u64(0);
        assert_eq!(hasher.finish(), FACTOR.rotate_left(5).wrapping_mul(FACTOR));
    }

    #[test]
    fn byte_strings_go_in_words_of_eight_four_and_one() {
        let mut whole = FxHasher::default();
        whole.write(b"abcdefghijklm");
        let mut parts = FxHasher::default();
        parts.write_u64(u64::from_le_bytes(*b"abcdefgh"));
        parts.write_u32(u32::from_le_bytes(*b"ijkl"));
        parts.write_u8(b'm');
        assert_eq!(whole.finish(), parts.finish());
    }

    #[test]
    fn the_same_insertions_give_the_same_order() {
        let order = |_| (1..100u64).collect::<FxHashSet<_>>().into_iter().collect::<Vec<_>>();
        assert_eq!(order(1), order(2));
    }
}
