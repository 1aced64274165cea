//! The byte shuffle, and undoing it.
//!
//! A shuffled block holds the first bytes of all elements, then the second bytes, and so on:
//! one *plane* for each byte of an element. Bytes behind the last whole element stand at the
//! end as they are.
#![expect(
    unsafe_code,
    reason = "the 16-byte instructions of x86-64; the call says what was proved"
)]

/// Writes the elements whose bytes stand in `planes` to `out`, one after the other, as many
/// bytes as `out` has and the shortest plane gives.
pub(super) fn join(planes: &[&[u8]], out: &mut [u8]) {
    let n = planes.iter().map(|p| p.len()).min().unwrap_or(0);
    let done = match planes {
        [] => 0,
        [a] => {
            let n = n.min(out.len());
            if let (Some(to), Some(from)) = (out.get_mut(..n), a.get(..n)) {
                to.copy_from_slice(from);
            }
            n
        }
        [a, b, c, d] => four([a, b, c, d], out),
        [a, b, c, d, e, f, g, h] => eight([a, b, c, d, e, f, g, h], out),
        _ => 0,
    };
    // The rest element by element: less than a step of the above, or a rare type size.
    for (j, plane) in planes.iter().enumerate() {
        let from = plane.get(done..n).unwrap_or_default();
        let to = out.get_mut(done * planes.len() + j..).unwrap_or_default();
        to.iter_mut().step_by(planes.len()).zip(from).for_each(|(to, from)| *to = *from);
    }
}

/// Writes the planes of `src`, elements of `size` bytes, one behind the other to `out`, which is as long.
pub(super) fn split(src: &[u8], size: usize, out: &mut [u8]) {
    let n = src.len() / size.max(1);
    if n == 0 {
        return;
    }
    #[expect(clippy::cast_possible_truncation, reason = "one byte of them")]
    match size {
        4 => {
            apart::<4>(src.as_chunks().0, n, out, |e, shift| (u32::from_le_bytes(e) >> shift) as u8)
        }
        8 => {
            apart::<8>(src.as_chunks().0, n, out, |e, shift| (u64::from_le_bytes(e) >> shift) as u8)
        }
        _ => {
            for (j, plane) in out.chunks_exact_mut(n).take(size).enumerate() {
                let from = src.get(j..).unwrap_or_default().iter().step_by(size);
                plane.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

/// As [`split`], of elements of which `byte` is the one behind so many bits: all bytes of some of them, before the
/// next ones are loaded. Loops of a fixed length, which the compiler makes wide.
fn apart<const N: usize>(
    elements: &[[u8; N]],
    n: usize,
    out: &mut [u8],
    byte: impl Fn([u8; N], u32) -> u8,
) {
    const STEP: usize = 64;
    let (whole, rest) = elements.as_chunks::<STEP>();
    for (plane, shift) in out.chunks_exact_mut(n).zip((0_u32..).step_by(8).take(N)) {
        let to = plane.get_mut(whole.len() * STEP..).unwrap_or_default();
        to.iter_mut().zip(rest).for_each(|(to, element)| *to = byte(*element, shift));
    }
    for (some, at) in whole.iter().zip((0..).step_by(STEP)) {
        for (plane, shift) in out.chunks_exact_mut(n).zip((0_u32..).step_by(8).take(N)) {
            let to = plane.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<STEP>);
            if let Some(to) = to {
                to.iter_mut().zip(some).for_each(|(to, element)| *to = byte(*element, shift));
            }
        }
    }
}

/// Elements of 4 bytes, 16 at a time; how many were written.
fn four(planes: [&[u8]; 4], out: &mut [u8]) -> usize {
    let [a, b, c, d] = planes.map(|p| p.as_chunks::<16>().0);
    let out = out.as_chunks_mut::<64>().0;
    let planes = a.iter().zip(b).zip(c).zip(d);
    let mut done = 0;
    for ((((a, b), c), d), out) in planes.zip(out) {
        *out = bytemuck::cast(wide::four([*a, *b, *c, *d]));
        done += 16;
    }
    done
}

/// Elements of 8 bytes, 16 at a time; how many were written.
fn eight(planes: [&[u8]; 8], out: &mut [u8]) -> usize {
    let [a, b, c, d, e, f, g, h] = planes.map(|p| p.as_chunks::<16>().0);
    let out = out.as_chunks_mut::<128>().0;
    let planes = a.iter().zip(b).zip(c).zip(d).zip(e).zip(f).zip(g).zip(h);
    let mut done = 0;
    for ((((((((a, b), c), d), e), f), g), h), out) in planes.zip(out) {
        let low = wide::four([*a, *c, *e, *g]);
        let high = wide::four([*b, *d, *f, *h]);
        // Words of four even bytes and of four odd bytes of an element.
        for ((low, high), out) in low.iter().zip(&high).zip(out.as_chunks_mut::<32>().0) {
            *out = bytemuck::cast(wide::pair(*low, *high));
        }
        done += 16;
    }
    done
}

/// 16 bytes at a time.
#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::{
        __m128i, _mm_unpackhi_epi8, _mm_unpackhi_epi16, _mm_unpacklo_epi8, _mm_unpacklo_epi16,
    };

    /// The elements of four planes.
    #[inline]
    pub(super) fn four(planes: [[u8; 16]; 4]) -> [[u8; 16]; 4] {
        // SAFETY: SSE2, which is all that this needs, is part of every x86-64.
        unsafe { four_sse2(planes) }
    }

    /// The bytes of both, by turns.
    #[inline]
    pub(super) fn pair(a: [u8; 16], b: [u8; 16]) -> [[u8; 16]; 2] {
        // SAFETY: SSE2, which is all that this needs, is part of every x86-64.
        unsafe { pair_sse2(a, b) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn four_sse2(planes: [[u8; 16]; 4]) -> [[u8; 16]; 4] {
        let [a, b, c, d]: [__m128i; 4] = planes.map(bytemuck::cast);
        let (ab, ab2) = (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b));
        let (cd, cd2) = (_mm_unpacklo_epi8(c, d), _mm_unpackhi_epi8(c, d));
        bytemuck::cast([
            _mm_unpacklo_epi16(ab, cd),
            _mm_unpackhi_epi16(ab, cd),
            _mm_unpacklo_epi16(ab2, cd2),
            _mm_unpackhi_epi16(ab2, cd2),
        ])
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn pair_sse2(a: [u8; 16], b: [u8; 16]) -> [[u8; 16]; 2] {
        let (a, b): (__m128i, __m128i) = (bytemuck::cast(a), bytemuck::cast(b));
        bytemuck::cast([_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)])
    }
}

/// 16 bytes at a time, on machines whose instructions nobody has chosen by hand.
#[cfg(not(target_arch = "x86_64"))]
mod wide {
    /// The elements of four planes.
    #[inline]
    pub(super) fn four(planes: [[u8; 16]; 4]) -> [[u8; 16]; 4] {
        let [a, b, c, d] = planes;
        let mut out = [[0; 4]; 16];
        for ((((out, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *out = [a, b, c, d];
        }
        bytemuck::cast(out)
    }

    /// The bytes of both, by turns.
    #[inline]
    pub(super) fn pair(a: [u8; 16], b: [u8; 16]) -> [[u8; 16]; 2] {
        let mut out = [[0; 2]; 16];
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = [a, b];
        }
        bytemuck::cast(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_and_length_is_joined_and_split_byte_by_byte() {
        for size in 1..=17 {
            for n in (0..70).chain([500, 1999]) {
                let bytes: Vec<u8> =
                    (0..size * n).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect();
                let planes: Vec<&[u8]> =
                    if n == 0 { vec![&[]; size] } else { bytes.chunks(n).collect() };
                let mut want = vec![0; size * n];
                for (j, plane) in planes.iter().enumerate() {
                    for (i, byte) in plane.iter().enumerate() {
                        want[i * size + j] = *byte;
                    }
                }
                let mut apart = vec![0xaa; size * n];
                split(&want, size, &mut apart);
                assert_eq!(apart, bytes, "{size} {n}");
                // Also where the last element is cut short.
                for cut in 0..=(size * n).min(5) {
                    let mut out = vec![0xaa; size * n - cut];
                    join(&planes, &mut out);
                    assert_eq!(out, want[..size * n - cut], "{size} {n} {cut}");
                }
            }
        }
    }
}
