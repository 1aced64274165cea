//! A hint to the processor, and the one door to it.

/// Bytes of a line of the processor's caches.
const LINE: usize = 64;

/// Asks for the `len` bytes at `address` of memory, which somebody will read soon: all at once and
/// without waiting for them, while a loop over cold bytes waits for one line after the other. Of
/// more than 4 KiB, for the first. Nothing but time depends on it, so any address will do.
#[inline]
pub fn prefetch(address: usize, len: usize) {
    lines(address, len, hint::<READ>);
}

/// The same for memory that will be written: lines that another processor holds are taken from it now, and not
/// when the first byte is written.
#[inline]
pub fn prefetch_to_write(address: usize, len: usize) {
    lines(address, len, hint::<WRITE>);
}

#[inline]
fn lines(address: usize, len: usize, hint: impl Fn(usize)) {
    let first = address & !(LINE - 1);
    let lines = (address.saturating_add(len).saturating_sub(first)).div_ceil(LINE).min(64);
    for line in 0..lines {
        hint(first.wrapping_add(line * LINE));
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
const READ: i32 = std::arch::x86_64::_MM_HINT_T0;
#[cfg(all(target_arch = "x86_64", not(miri)))]
const WRITE: i32 = std::arch::x86_64::_MM_HINT_ET0;
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
const READ: i32 = 0;
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
const WRITE: i32 = 1;

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[expect(unsafe_code, reason = "the hint takes a pointer")]
#[inline]
fn hint<const HOW: i32>(address: usize) {
    use std::arch::x86_64::_mm_prefetch;
    // SAFETY: the instruction belongs to SSE, a part of every x86-64; that for writing is one that does nothing
    // on processors without it. It reads nothing that the program can see, changes nothing, and does not fault
    // whatever the address is.
    unsafe { _mm_prefetch::<HOW>(std::ptr::without_provenance(address)) }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
const fn hint<const HOW: i32>(_address: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_and_no_length_is_more_than_a_hint() {
        for address in [0, 1, 63, 64, 4095, usize::MAX / 2, usize::MAX - 63, usize::MAX] {
            for len in [0, 1, 64, 100_000, usize::MAX] {
                prefetch(address, len);
                prefetch_to_write(address, len);
            }
        }
    }
}
