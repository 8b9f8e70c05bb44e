//! Work on several items at once, told in the order of the items.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use zcrm::Cancel;

use crate::exit::Stop;

/// Runs `work` on the items, `parallel` at a time, and gives each result to `tell`, on the calling thread and in the order of the items: `None`
/// for those that weren't begun when the command was cancelled. Once `tell` can't be told, the rest is cancelled.
pub fn in_order<I: Sync, R: Send>(
    items: &[I],
    parallel: usize,
    cancel: &Cancel,
    work: impl Fn(&I) -> R + Sync,
    mut tell: impl FnMut(&I, Option<R>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let next = AtomicUsize::new(0);
    let (results, received) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..parallel.min(items.len()) {
            let (results, next, work) = (results.clone(), &next, &work);
            scope.spawn(move || {
                while let Some((at, item)) = take(items, next) {
                    let result = (!cancel.is_fired()).then(|| work(item));
                    if results.send((at, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let told = in_turn(received, |at, result| tell(&items[at], result));
        if told.is_err() {
            cancel.fire();
        }
        told
    })
}

fn take<'i, I>(items: &'i [I], next: &AtomicUsize) -> Option<(usize, &'i I)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    items.get(at).map(|item| (at, item))
}

/// Holds back what comes before its turn.
fn in_turn<R>(received: mpsc::Receiver<(usize, R)>, mut tell: impl FnMut(usize, R) -> Result<(), Stop>) -> Result<(), Stop> {
    let (mut early, mut turn) = (BTreeMap::new(), 0);
    for (at, result) in received {
        early.insert(at, result);
        while let Some(result) = early.remove(&turn) {
            tell(turn, result)?;
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
            std::thread::sleep(std::time::Duration::from_millis(20 - n));
            *n
        };
        in_order(&[0, 5, 10, 15], 4, &cancel, slow_first, |item, result| {
            told.push((*item, result));
            Ok(())
        })
        .unwrap();
        assert_eq!(told, [(0, Some(0)), (5, Some(5)), (10, Some(10)), (15, Some(15))]);
        cancel.fire();
        in_order(&[1], 4, &cancel, slow_first, |_, result| {
            assert_eq!(result, None);
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn when_nobody_can_be_told_the_rest_is_cancelled() {
        let cancel = Cancel::new();
        let told = in_order(&[1, 2, 3], 1, &cancel, |n| *n, |_, _| Err(Stop::new("closed")));
        assert!(told.is_err() && cancel.is_fired());
    }
}
