//! Sets of whole numbers as sorted, disjoint, half-open intervals.

/// A set of whole numbers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Intervals(Vec<(i64, i64)>);

impl Intervals {
    /// Adds `from..to`, merging what touches.
    pub fn insert(&mut self, from: i64, to: i64) {
        if from >= to {
            return;
        }
        let first = self.0.partition_point(|(_, end)| *end < from);
        let last = self.0.partition_point(|(start, _)| *start <= to);
        let merged = self.0[first..last].iter().fold((from, to), |(a, b), (x, y)| (a.min(*x), b.max(*y)));
        self.0.splice(first..last, [merged]);
    }

    /// Whether `n` is in the set.
    pub fn contains(&self, n: i64) -> bool {
        let index = self.0.partition_point(|(_, end)| *end <= n);
        self.0.get(index).is_some_and(|(start, _)| *start <= n)
    }

    /// The intervals, in order.
    pub fn as_slice(&self) -> &[(i64, i64)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Intervals;

    #[test]
    fn what_touches_is_merged() {
        let mut set = Intervals::default();
        for (from, to) in [(10, 20), (30, 40), (20, 30), (50, 60), (5, 5)] {
            set.insert(from, to);
        }
        assert_eq!(set.as_slice(), [(10, 40), (50, 60)]);
        assert!(set.contains(39) && !set.contains(40) && !set.contains(9));
    }
}
