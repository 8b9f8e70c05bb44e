//! I6: what the cells of the matrix take from the heap comes back.

use std::net::TcpListener;

use crate::cause::{Hosts, causes};
use crate::held::{heap, held, leaks};
use crate::matrix::cell;
use crate::operation::{ALL, Operation};

/// Every so many-th cell of those that don't wait for a stall; a prime, so that each operation meets other causes.
const EVERY: usize = 23;
/// The first two set up for good what a call needs: roots, tables. What is set up later is no leak either, unless each repetition does it.
const REPETITIONS: usize = 5;

#[test]
fn repetitions_of_the_same_cells_do_not_make_the_heap_grow() {
    let mut process = crate::again("heap::process");
    // Without a cache of freed blocks for each thread, which malloc counts as in use.
    process.arg("--nocapture").env("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0").stdout(std::process::Stdio::piped());
    let output = process.output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "a process of its own, started by the test above"]
fn process() {
    let foreign = TcpListener::bind(("localhost", 0)).unwrap();
    let url = format!("http://localhost:{}/", foreign.local_addr().unwrap().port());
    let hosts = Hosts { own: &url, foreign: &url };
    let all = ALL.iter().flat_map(|o| causes(*o, &hosts).into_iter().enumerate().filter(|(_, c)| !c.stalls).map(move |(n, _)| (*o, n)));
    let sample: Vec<_> = all.step_by(EVERY).collect();
    let after: Vec<_> = (0..REPETITIONS).map(|_| repetition(&sample, &url)).collect();
    println!("{} cells, bytes of the heap after each repetition: {after:?}", sample.len());
    let grew = after[1..].windows(2).filter(|pair| pair[1] > pair[0]).count();
    assert!(grew < REPETITIONS - 2, "I6: the heap grows with each repetition: {after:?}");
}

fn repetition(sample: &[(Operation, usize)], url: &str) -> usize {
    let before = held();
    for (operation, cause) in sample {
        let (end, wrong) = cell(*operation, *cause, url);
        assert!(wrong.is_empty(), "{operation:?} {cause}: {end} {wrong:?}");
    }
    assert_eq!(leaks(before), None);
    heap()
}
