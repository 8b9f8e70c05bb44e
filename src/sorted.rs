//! Numbers in their order, in little more memory than they are long.

/// Millions of numbers, in pieces: nothing large is ever moved or held twice as it grows. A number takes 8 bytes where they come in their order,
/// 11 where they come in none, 16 where they come backwards.
#[derive(Debug, Default)]
pub(crate) struct Sorted(Vec<Piece>);

/// Some numbers that follow one another: never none.
#[derive(Debug)]
struct Piece {
    numbers: Vec<u64>,
    /// The last of them as it was inserted. It stands here since most time would be spent in fetching it from there.
    last: u64,
}

/// Numbers of a piece.
const FULL: usize = 500;

impl Sorted {
    /// The numbers from this one on. What they are changed to may not change their order among those that are sought or inserted.
    pub(crate) fn from(&mut self, least: u64) -> impl Iterator<Item = &mut u64> {
        let (piece, at) = self.place(least);
        self.0.iter_mut().skip(piece).flat_map(|piece| &mut piece.numbers).skip(at)
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        let (piece, at) = self.place(number);
        self.0.get(piece).and_then(|piece| piece.numbers.get(at)) == Some(&number)
    }

    /// Inserts a number; `false` when it is there.
    pub(crate) fn add(&mut self, number: u64) -> bool {
        let (piece, at) = self.place(number);
        let is_new = self.0.get(piece).and_then(|piece| piece.numbers.get(at)) != Some(&number);
        if is_new {
            self.insert_at(piece, at, number);
        }
        is_new
    }

    /// Puts a number before those that are not less than `least`.
    pub(crate) fn insert(&mut self, least: u64, number: u64) {
        let (piece, at) = self.place(least);
        self.insert_at(piece, at, number);
    }

    fn insert_at(&mut self, piece: usize, at: usize, number: u64) {
        // Behind the last of all, or of the piece before.
        let (piece, at) = if at == 0 && piece > 0 { (piece - 1, self.0[piece - 1].numbers.len()) } else { (piece, at) };
        match self.0.get_mut(piece) {
            Some(there) if there.numbers.len() < FULL => there.insert(at, number),
            Some(there) => {
                let rest = there.part(at, number);
                self.0.insert(piece + 1, rest);
            }
            None => {
                let mut numbers = Vec::with_capacity(FULL);
                numbers.push(number);
                self.0.push(Piece { numbers, last: number });
            }
        }
    }

    /// Where the first number is that isn't less: its piece, and its place in that.
    fn place(&self, least: u64) -> (usize, usize) {
        let last = self.0.last().map_or(0, |piece| piece.last);
        let piece = first_from(self.0.len(), part(least, last), |at| self.0[at].last < least);
        let before = piece.checked_sub(1).map_or(0, |before| self.0[before].last);
        (piece, self.0.get(piece).map_or(0, |piece| piece.place(least, before)))
    }
}

/// How much of `whole` is `of`, at most 1.
fn part(of: u64, whole: u64) -> f64 {
    of.min(whole) as f64 / whole.max(1) as f64
}

/// Places beside a guess that are looked at first.
const NEAR: usize = 8;

/// The first of `all` places that isn't less, or `all` where there is none. `part` of them are likely to be: hashes and ids lie evenly, and a guess is
/// a few places off, where halving would fetch half a dozen from memory.
fn first_from(all: usize, part: f64, is_less: impl Fn(usize) -> bool) -> usize {
    let guess = ((part * all as f64) as usize).min(all.saturating_sub(1));
    let (mut low, mut high, mut step) = (guess, guess, NEAR);
    while low > 0 && !is_less(low - 1) {
        high = low - 1;
        low = low.saturating_sub(step);
        step *= 2;
    }
    while high < all && is_less(high) {
        low = high + 1;
        high = (high + step).min(all);
        step *= 2;
    }
    while low < high {
        let middle = (low + high) / 2;
        if is_less(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

impl Piece {
    /// Where the first number is that isn't less. All are greater than `before`, or equal, and the last isn't less.
    fn place(&self, least: u64, before: u64) -> usize {
        first_from(self.numbers.len(), part(least.saturating_sub(before), self.last - before), |at| self.numbers[at] < least)
    }

    fn insert(&mut self, at: usize, number: u64) {
        if at == self.numbers.len() {
            self.last = number;
        }
        self.numbers.insert(at, number);
    }

    /// Parts a full piece, at its end where numbers come in their order, and inserts a number. Gives the second part.
    fn part(&mut self, at: usize, number: u64) -> Piece {
        let cut = if at == FULL { at } else { FULL / 2 };
        let mut numbers = Vec::with_capacity(FULL);
        numbers.extend(self.numbers.drain(cut..));
        let mut rest = Piece { numbers, last: self.last };
        self.last = self.numbers[cut - 1];
        if at >= cut {
            rest.insert(at - cut, number)
        } else {
            self.insert(at, number)
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(sorted: &Sorted) -> usize {
        sorted.0.iter().map(|piece| 8 * piece.numbers.capacity() + size_of::<Piece>()).sum()
    }

    #[test]
    fn numbers_come_out_in_their_order_however_they_went_in() {
        let in_order: Vec<u64> = (0..50_000).collect();
        let backwards = in_order.iter().rev().copied().collect();
        let scattered = in_order.iter().map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        for (mut all, most) in [(in_order, 9), (backwards, 17), (scattered, 13)] {
            let mut sorted = Sorted::default();
            all.iter().for_each(|number| sorted.insert(*number, *number));
            all.sort_unstable();
            assert!(sorted.from(0).map(|number| *number).eq(all.iter().copied()));
            assert!(sorted.from(all[777]).map(|number| *number).eq(all[777..].iter().copied()));
            assert!(all.iter().all(|number| sorted.contains(*number)) && !sorted.contains(all[49_999] + 1));
            assert!(bytes(&sorted) <= most * 50_000, "{} bytes", bytes(&sorted));
        }
    }
}
