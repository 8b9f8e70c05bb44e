//! Work on several items at once, told in the order of the items.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};

use zcrm::Cancel;

use crate::exit::Stop;

/// Items that may be in work or wait for their turn to be told, for each worker: one slow item holds up so many others.
const AHEAD: usize = 16;

/// Runs `work` on the items, `parallel` at a time, and gives each result to `tell`, on the calling thread and in the order of the items: `None`
/// for those that weren't begun when the command was cancelled. Items are taken as there is room. Once `tell` can't be told, the rest is cancelled.
pub fn in_order<I: Send, R: Send>(
    items: impl IntoIterator<Item = I, IntoIter: Send>,
    parallel: usize,
    cancel: &Cancel,
    work: impl Fn(&I) -> R + Sync,
    mut tell: impl FnMut(&I, Option<R>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let queue = Queue { items: Mutex::new((0, items.into_iter().fuse())), told: Mutex::new(0), moved: Condvar::new(), most: parallel * AHEAD };
    let (results, received) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..parallel {
            let (results, queue, work) = (results.clone(), &queue, &work);
            scope.spawn(move || {
                while let Some((at, item)) = queue.take(cancel) {
                    let result = (!cancel.is_fired()).then(|| work(&item));
                    if results.send((at, (item, result))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let ended = in_turn(received, |(item, result)| {
            tell(&item, result)?;
            queue.tell();
            Ok(())
        });
        if ended.is_err() {
            cancel.fire();
            drop(locked(&queue.told)); // a worker that has looked at the token before waits by now, and hears of it
            queue.moved.notify_all();
        }
        ended
    })
}

/// The items that are left, and how far they were told.
struct Queue<T> {
    items: Mutex<(usize, T)>,
    told: Mutex<usize>,
    moved: Condvar,
    most: usize,
}

impl<I, T: Iterator<Item = I>> Queue<T> {
    /// The next item and its number, when there is room for it.
    fn take(&self, cancel: &Cancel) -> Option<(usize, I)> {
        let mut items = locked(&self.items);
        let at = items.0;
        let full = |told: &mut usize| at - *told >= self.most && !cancel.is_fired();
        drop(self.moved.wait_while(locked(&self.told), full));
        let item = items.1.next()?;
        items.0 += 1;
        Some((at, item))
    }

    fn tell(&self) {
        *locked(&self.told) += 1;
        self.moved.notify_all();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds back what comes before its turn.
fn in_turn<R>(received: mpsc::Receiver<(usize, R)>, mut tell: impl FnMut(R) -> Result<(), Stop>) -> Result<(), Stop> {
    let (mut early, mut turn) = (BTreeMap::new(), 0);
    for (at, result) in received {
        early.insert(at, result);
        while let Some(result) = early.remove(&turn) {
            tell(result)?;
            turn += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_and_none_is_begun_after_a_cancel() {
        let (cancel, mut told) = (Cancel::new(), Vec::new());
        let slow_first = |n: &u64| {
            std::thread::sleep(std::time::Duration::from_millis(20_u64.saturating_sub(*n)));
            *n
        };
        in_order(0..200, 4, &cancel, slow_first, |item, result| {
            told.push((*item, result));
            Ok(())
        })
        .unwrap();
        assert_eq!(told, (0..200).map(|n| (n, Some(n))).collect::<Vec<_>>());
        cancel.fire();
        in_order(0..100, 4, &cancel, slow_first, |_, result| {
            assert_eq!(result, None);
            told.pop();
            Ok(())
        })
        .unwrap();
        assert_eq!(told.len(), 100, "each is told");
    }

    #[test]
    fn items_are_taken_as_there_is_room() {
        let (taken, gate) = (Mutex::new(0), Mutex::new(()));
        let held = gate.lock().unwrap();
        let items = (0..1000).inspect(|_| *taken.lock().unwrap() += 1);
        let wait = |n: &i32| {
            if *n == 0 {
                drop(gate.lock().unwrap())
            }
        };
        std::thread::scope(|scope| {
            let done = scope.spawn(|| in_order(items, 2, &Cancel::new(), wait, |_, _| Ok(())));
            std::thread::sleep(std::time::Duration::from_millis(100));
            assert!(*taken.lock().unwrap() <= 2 * AHEAD, "the first one holds up the others");
            drop(held);
            done.join().unwrap().unwrap();
        });
        assert_eq!(*taken.lock().unwrap(), 1000);
    }

    #[test]
    fn when_nobody_can_be_told_the_rest_is_cancelled() {
        let cancel = Cancel::new();
        let told = in_order([1, 2, 3], 1, &cancel, |n| *n, |_, _| Err(Stop::new("closed")));
        assert!(told.is_err() && cancel.is_fired());
    }
}
