//! The inner loops, compiled once for AVX2 and once for any processor, chosen when the program runs.
//!
//! What takes part in that choice is a struct with `#[inline(always)]` and not a closure, so that it is compiled for
//! the chosen instructions in builds with little optimisation too.
#![expect(
    clippy::inline_always,
    reason = "a call that is not inlined is not compiled for the chosen instructions"
)]

use pulp::{Arch, Simd, WithSimd};

/// Numbers that share a scale.
pub(super) const BLOCK: usize = 32;

/// A row of eight-bit numbers, in blocks, and each block's scale.
pub(super) type Row<'a> = (&'a [[i8; BLOCK]], &'a [f32]);

/// Rounds blocks of `from` into `values` and `scales`.
pub(super) fn quantise(from: &[f32], values: &mut [i8], scales: &mut [f32]) {
    Arch::new().dispatch(Quantise { from, values, scales });
}

/// Widens blocks of `values` into `to`.
pub(super) fn dequantise(values: &[i8], scales: &[f32], to: &mut [f32]) {
    Arch::new().dispatch(Dequantise { values, scales, to });
}

/// The dot products of each row of `left` with each row of `right`, all of `length` numbers, into `to`: first those
/// of the first row of `left`.
pub(super) fn products(length: usize, left: (&[i8], &[f32]), right: (&[i8], &[f32]), to: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return Simd::vectorize(simd, Products { length, left, right, to, dot: avx2::Dot(simd) });
    }
    Arch::new().dispatch(Products { length, left, right, to, dot: Portable });
}

struct Quantise<'a> {
    from: &'a [f32],
    values: &'a mut [i8],
    scales: &'a mut [f32],
}

impl WithSimd for Quantise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (from, to) = (self.from.as_chunks::<BLOCK>().0, self.values.as_chunks_mut::<BLOCK>().0);
        for ((from, to), scale) in from.iter().zip(to).zip(self.scales) {
            let mut largest = 0.0_f32;
            for value in from {
                largest = largest.max(value.abs());
            }
            *scale = largest / 127.0;
            let inverse = if largest == 0.0 { 0.0 } else { 127.0 / largest };
            for (to, from) in to.iter_mut().zip(from) {
                *to = (from * inverse).round_ties_even() as i8;
            }
        }
    }
}

struct Dequantise<'a> {
    values: &'a [i8],
    scales: &'a [f32],
    to: &'a mut [f32],
}

impl WithSimd for Dequantise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (from, to) = (self.values.as_chunks::<BLOCK>().0, self.to.as_chunks_mut::<BLOCK>().0);
        for ((from, to), scale) in from.iter().zip(to).zip(self.scales) {
            for (to, from) in to.iter_mut().zip(from) {
                *to = f32::from(*from) * scale;
            }
        }
    }
}

struct Products<'a, D> {
    length: usize,
    left: (&'a [i8], &'a [f32]),
    right: (&'a [i8], &'a [f32]),
    to: &'a mut [f32],
    dot: D,
}

impl<D: Dot> WithSimd for Products<'_, D> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let count = self.right.0.len() / self.length;
        for (row, to) in self.to.chunks_exact_mut(count).enumerate() {
            let left = nth(self.left, self.length, row);
            for (row, to) in to.iter_mut().enumerate() {
                *to = self.dot.dot(left, nth(self.right, self.length, row));
            }
        }
    }
}

#[inline(always)]
fn nth<'a>((values, scales): (&'a [i8], &'a [f32]), length: usize, row: usize) -> Row<'a> {
    let blocks = length / BLOCK;
    (values[row * length..(row + 1) * length].as_chunks().0, &scales[row * blocks..(row + 1) * blocks])
}

/// The product of two rows.
trait Dot {
    fn dot(&self, x: Row, y: Row) -> f32;
}

struct Portable;

impl Dot for Portable {
    #[inline(always)]
    fn dot(&self, (xs, x_scales): Row, (ys, y_scales): Row) -> f32 {
        let mut total = 0.0;
        for ((x, y), (x_scale, y_scale)) in xs.iter().zip(ys).zip(x_scales.iter().zip(y_scales)) {
            let mut sum = 0;
            for (x, y) in x.iter().zip(y) {
                sum += i32::from(i16::from(*x) * i16::from(*y));
            }
            total += sum as f32 * (x_scale * y_scale);
        }
        total
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{__m256, __m256i};

    use super::Row;

    /// Thirty-two products and their sums in three instructions.
    pub(super) struct Dot(pub(super) pulp::x86::V3);

    impl super::Dot for Dot {
        #[inline(always)]
        fn dot(&self, (xs, x_scales): Row, (ys, y_scales): Row) -> f32 {
            let (avx, avx2) = (self.0.avx, self.0.avx2);
            let ones = avx._mm256_set1_epi16(1);
            let mut totals: __m256 = avx._mm256_setzero_ps();
            for ((x, y), (x_scale, y_scale)) in xs.iter().zip(ys).zip(x_scales.iter().zip(y_scales)) {
                let (x, y): (__m256i, __m256i) = (pulp::cast(*x), pulp::cast(*y));
                // One factor must be unsigned: the sign of x goes to y. Two of these products fit in sixteen bits.
                let pairs =
                    avx2._mm256_maddubs_epi16(avx2._mm256_sign_epi8(x, x), avx2._mm256_sign_epi8(y, x));
                let sums = avx._mm256_cvtepi32_ps(avx2._mm256_madd_epi16(pairs, ones));
                totals = self.0.fma._mm256_fmadd_ps(sums, avx._mm256_set1_ps(x_scale * y_scale), totals);
            }
            let lanes: [f32; 8] = pulp::cast(totals);
            lanes.iter().sum()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_gives_the_same_product() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut rows = |count: usize| -> Vec<f32> { (0..count).map(|_| random.f32() - 0.5).collect() };
        let (length, left, right) = (96, rows(96 * 5), rows(96 * 3));
        let rounded = |from: &[f32]| {
            let (mut values, mut scales) = (vec![0; from.len()], vec![0.0; from.len() / BLOCK]);
            quantise(from, &mut values, &mut scales);
            (values, scales)
        };
        let (l, r) = (rounded(&left), rounded(&right));
        let (mut fast, mut plain) = (vec![0.0; 15], vec![0.0; 15]);
        products(length, (&l.0, &l.1), (&r.0, &r.1), &mut fast);
        let portable =
            Products { length, left: (&l.0, &l.1), right: (&r.0, &r.1), to: &mut plain, dot: Portable };
        Arch::Scalar.dispatch(portable);
        for (i, (fast, plain)) in fast.iter().zip(&plain).enumerate() {
            let row = |from: &[f32], row: usize| from[row * length..(row + 1) * length].to_vec();
            let exact: f32 = row(&left, i / 3).iter().zip(row(&right, i % 3)).map(|(a, b)| a * b).sum();
            assert!((fast - plain).abs() < 1e-4, "{fast} {plain}");
            assert!((fast - exact).abs() < 0.03, "{fast} {exact}");
        }
    }

    #[test]
    fn extremes_survive() {
        let from: Vec<f32> =
            (0..BLOCK).map(|i| if i == 0 { -3e30 } else { 3e30 }).chain([0.0; BLOCK]).collect();
        let (mut values, mut scales, mut back) = (vec![1; 64], vec![1.0; 2], vec![1.0; 64]);
        quantise(&from, &mut values, &mut scales);
        assert_eq!((values[0], values[1], values[63]), (-127, 127, 0));
        dequantise(&values, &scales, &mut back);
        assert!(back.iter().zip(&from).all(|(a, b)| (a - b).abs() <= b.abs() * 1e-5));
    }
}
