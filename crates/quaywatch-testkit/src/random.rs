//! Randomness with a seed: the same seed, the same test.

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, good enough for choosing.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to `below`, exclusive; 0 where `below` is 0.
    pub const fn below(&mut self, below: u64) -> u64 {
        if below == 0 { 0 } else { self.next_u64() % below }
    }

    /// True in `percent` of a hundred cases.
    pub const fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        let index = self.below(of.len() as u64);
        &of[usize::try_from(index).expect("an index of a slice")]
    }
}
