//! Small square matrices over whole numbers, and Fibonacci numbers by fast powers.

/// A matrix of `N` rows and columns.
pub type Matrix<const N: usize> = [[u128; N]; N];

/// The product of two matrices.
pub fn multiply<const N: usize>(a: &Matrix<N>, b: &Matrix<N>) -> Matrix<N> {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..N).map(|k| a[i][k] * b[k][j]).sum()))
}

/// `matrix` to the power of `exponent`, in about log2(exponent) products.
pub fn power<const N: usize>(matrix: &Matrix<N>, mut exponent: u32) -> Matrix<N> {
    let mut result: Matrix<N> = std::array::from_fn(|i| std::array::from_fn(|j| u128::from(i == j)));
    let mut square = *matrix;
    while exponent > 0 {
        if exponent % 2 == 1 {
            result = multiply(&result, &square);
        }
        exponent /= 2;
        if exponent > 0 {
            square = multiply(&square, &square);
        }
    }
    result
}

/// The `n`-th Fibonacci number, for `n` up to 150.
pub fn fibonacci(n: u32) -> u128 {
    power(&[[1, 1], [1, 0]], n)[0][1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fibonacci_numbers() {
        assert_eq!((0..10).map(fibonacci).collect::<Vec<_>>(), [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]);
        assert_eq!(fibonacci(100), 354_224_848_179_261_915_075);
    }

    #[test]
    fn the_zeroth_power_is_one() {
        assert_eq!(power(&[[2, 3], [5, 7]], 0), [[1, 0], [0, 1]]);
    }
}
