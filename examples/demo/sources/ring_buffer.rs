//! A queue of fixed size that forgets its oldest entry when it is full.

/// Holds at most `N` values.
pub struct Ring<T, const N: usize> {
    slots: [Option<T>; N],
    first: usize,
    len: usize,
}

impl<T, const N: usize> Default for Ring<T, N> {
    fn default() -> Self {
        Self { slots: std::array::from_fn(|_| None), first: 0, len: 0 }
    }
}

impl<T, const N: usize> Ring<T, N> {
    /// Adds a value; gives back the one that had to go.
    pub fn push(&mut self, value: T) -> Option<T> {
        let gone = if self.len == N { self.pop() } else { None };
        self.slots[(self.first + self.len) % N] = Some(value);
        self.len += 1;
        gone
    }

    /// Takes the oldest value.
    pub fn pop(&mut self) -> Option<T> {
        let value = self.slots[self.first].take()?;
        self.first = (self.first + 1) % N;
        self.len -= 1;
        Some(value)
    }

    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;

    #[test]
    fn the_oldest_goes_first() {
        let mut ring: Ring<u32, 3> = Ring::default();
        assert!(ring.is_empty());
        assert_eq!((1..=5).map(|n| ring.push(n)).collect::<Vec<_>>(), [None, None, None, Some(1), Some(2)]);
        assert_eq!(ring.len(), 3);
        assert_eq!(std::iter::from_fn(|| ring.pop()).collect::<Vec<_>>(), [3, 4, 5]);
    }
}
