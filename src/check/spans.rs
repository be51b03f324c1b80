//! What holds of which offsets: ranges that do not overlap, each with a value.

use crate::ordered::OrderedMap;

/// Both ends of a range are in it.
#[derive(Clone, Debug)]
pub struct Spans<T>(OrderedMap<i64, (i64, T)>);

impl<T> Default for Spans<T> {
    fn default() -> Spans<T> {
        Spans(OrderedMap::new())
    }
}

impl<T: Clone + PartialEq> Spans<T> {
    /// From now on this holds of these offsets, whatever did before.
    pub fn set(&mut self, first: i64, last: i64, value: T) {
        self.cut(first);
        self.cut(last.saturating_add(1));
        let over: Vec<i64> = self.starts(first, last).collect();
        over.iter().for_each(|start| _ = self.0.remove(start));
        // Neighbours of which the same holds are one range.
        let before = self.starts(i64::MIN, first.saturating_sub(1)).next_back();
        match before.and_then(|start| self.0.get_mut(&start)).filter(|(end, own)| end.saturating_add(1) == first && *own == value) {
            Some(before) => before.0 = last,
            None => _ = self.0.insert(first, (last, value)),
        }
    }

    /// Nothing is known of offsets before this one any more.
    pub fn forget_before(&mut self, offset: i64) {
        self.cut(offset);
        self.0.retain(|start, _| offset <= *start);
    }

    /// What holds of these offsets.
    pub fn over(&self, first: i64, last: i64) -> impl Iterator<Item = (i64, i64, &T)> {
        let is_over = move |start: &i64, end: i64| *start <= last && first <= end;
        self.0.iter().filter(move |(start, (end, _))| is_over(start, *end)).map(|(start, (end, value))| (*start, *end, value))
    }

    fn starts(&self, first: i64, last: i64) -> impl DoubleEndedIterator<Item = i64> {
        self.0
            .keys()
            .copied()
            .skip_while(move |start| *start < first)
            .take_while(move |start| *start <= last)
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Makes a range begin here, if one holds this offset.
    fn cut(&mut self, at: i64) {
        let holds = self.over(at, at).next().filter(|(start, ..)| *start < at).map(|(start, end, value)| (start, end, value.clone()));
        if let Some((start, end, value)) = holds {
            self.0.insert(start, (at - 1, value.clone()));
            self.0.insert(at, (end, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts_and_neighbours_are_one() {
        let mut spans = Spans::default();
        spans.set(0, 9, 'a');
        spans.set(3, 4, 'b');
        let all =
            |spans: &Spans<char>| spans.over(i64::MIN, i64::MAX).map(|(first, last, value)| (first, last, *value)).collect::<Vec<_>>();
        assert_eq!(all(&spans), [(0, 2, 'a'), (3, 4, 'b'), (5, 9, 'a')]);
        spans.set(5, 6, 'b');
        assert_eq!(all(&spans), [(0, 2, 'a'), (3, 6, 'b'), (7, 9, 'a')]);
        spans.forget_before(4);
        assert_eq!(all(&spans), [(4, 6, 'b'), (7, 9, 'a')]);
        assert_eq!(spans.over(6, 7).count(), 2);
        assert_eq!(spans.over(10, 20).count(), 0);
    }
}
