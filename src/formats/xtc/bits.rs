//! A stream of bits, the high bit of each byte first.

/// Reads bits. The last 8 bytes of the slice serve as room to look ahead; whether more bits
/// were taken than there are is for the caller to ask with [`position`](Self::position).
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bits taken so far.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// The next bits, at least 57, at the top of a word; `None` near the end of the slice.
    #[inline]
    fn window(&self) -> Option<u64> {
        let word = self.bytes.get(self.at >> 3..)?.first_chunk()?;
        Some(u64::from_be_bytes(*word) << (self.at & 7))
    }

    /// The next `n` bits as a number, the first bit the highest; `n` is at most 56.
    #[inline]
    pub(super) fn high_first(&mut self, n: u32) -> Option<u64> {
        debug_assert!(n <= 56);
        let w = self.window()?;
        self.at = self.at.wrapping_add(n as usize);
        Some((w >> 8) >> (56 - n))
    }

    /// The next `n` bits as a number whose lowest byte comes first, the bits left over last;
    /// `n` is at most 56.
    #[inline]
    pub(super) fn low_first(&mut self, n: u32) -> Option<u64> {
        debug_assert!(n <= 56);
        let w = self.window()?;
        self.at = self.at.wrapping_add(n as usize);
        let rest = n & 7;
        let whole = n - rest;
        let low = w.swap_bytes() & ((1 << whole) - 1);
        // Shifted in two steps, since `rest` may be 0 and a shift by 64 is none.
        let high = ((w << whole) >> 1) >> (63 - rest);
        Some(low | high << whole)
    }
}

/// Writes bits.
#[derive(Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits not yet in `bytes`, in the low end; fewer than 8 between calls.
    waiting: u64,
    count: u32,
}

impl BitWriter {
    /// Appends the low `n` bits of `value`, the highest first; `n` is at most 32.
    pub(super) fn high_first(&mut self, value: u32, n: u32) {
        debug_assert!(n <= 32 && u64::from(value) < 1 << n);
        self.waiting = self.waiting << n | u64::from(value);
        self.count += n;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.waiting >> self.count).to_le_bytes()[0]);
        }
        self.waiting &= (1 << self.count) - 1;
    }

    /// Appends the low `n` bits of `value`, its lowest byte first; `n` is at most 72.
    pub(super) fn low_first(&mut self, value: u128, n: u32) {
        let mut left = n;
        for byte in value.to_le_bytes() {
            let take = left.min(8);
            self.high_first(byte.into(), take);
            left -= take;
        }
    }

    /// The bytes, the last one filled up with zero bits.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            let fill = 8 - self.count;
            self.high_first(0, fill);
        }
        self.bytes
    }
}
