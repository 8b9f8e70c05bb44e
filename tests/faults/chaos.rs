//! Chaos: many calls from many threads through weather, and tokens that end.
//!
//! `cargo test` runs short rounds; `make soak` runs as many as fit into `SECONDS`, by turns of uploads alone and of everything.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::held::{heap, held, leaks, peak};
use crate::random::{Random, number, seed};
use crate::tally::Tally;
use crate::tenant::{Act, Ended, Tenant, sender};
use crate::weather::{Mix, Region, refuses};

const THREADS: usize = 8;
/// Of all tenants together.
const FOLDERS: usize = 100;
/// More refreshes than this in ten minutes are refused by the accounts host, and by the library before it.
const EXPIRIES: usize = 5;
/// I6: growth of the heap over any number of rounds that is no leak, in bytes.
const LEAK: i64 = 1 << 20;

/// A call that was made.
pub struct Made {
    pub tenant: usize,
    pub folder: usize,
    pub act: Act,
    pub took: Duration,
    pub ended: Ended,
}

fn round(mix: Mix, calls: usize, seed: u64) -> Tally {
    let foreign = TcpListener::bind(("localhost", 0)).unwrap();
    foreign.set_nonblocking(true).unwrap();
    let url = format!("http://localhost:{}/", foreign.local_addr().unwrap().port());
    let (names, organisations): (&[_], &[_]) = if mix == Mix::Uploads { (&["us"], &[1]) } else { (&["us", "eu"], &[1, 2]) };
    let regions: Vec<_> = names.iter().zip(0..).map(|(name, n)| Region::new(name, mix, &url, seed + n)).collect();
    let dir = tempfile::tempdir().unwrap();
    let folders = FOLDERS / (names.len() * organisations.len());
    let settings = [("max_in_flight", "8"), ("settle_waits_ms", "20,60,200"), ("max_retries", if mix == Mix::Uploads { "3" } else { "5" })];
    let tenant = |(region, organisation)| Tenant::new(region, organisation, folders, &settings, dir.path().to_owned());
    let tenants: Vec<_> = regions.iter().flat_map(|r| organisations.iter().map(move |o| (r, *o))).map(tenant).collect();
    let (next, made) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= calls {
                        return;
                    }
                    let often = (calls / EXPIRIES).max(1);
                    if i % often == often / 2 {
                        regions.iter().for_each(|region| region.emulator.expire_tokens());
                    }
                    let call = call(mix, &tenants, seed, i);
                    made.lock().unwrap().push((i, call));
                }
            });
        }
    });
    let made: HashMap<_, _> = made.into_inner().unwrap().into_iter().collect();
    let mut t = Tally::default();
    (t.rounds, t.left, t.foreign) = (1, std::fs::read_dir(dir.path()).unwrap().count(), usize::from(foreign.accept().is_ok()));
    made.values().for_each(|made| t.count(made));
    stored(&mut t, &tenants, &made);
    regions.iter().for_each(|region| ledger(&mut t, region, &tenants));
    t
}

/// Call `i`: what, whose and where is drawn from the seed.
fn call(mix: Mix, tenants: &[Tenant<'_>], seed: u64, i: usize) -> Made {
    let mut random = Random::new(seed.wrapping_mul(1_000_003) + i as u64);
    let act = Act::draw(mix, &mut random);
    let tenant = random.below(tenants.len() as u64) as usize;
    let folder = if mix == Mix::Uploads { i % FOLDERS } else { random.below(tenants[tenant].folders.len() as u64) as usize };
    tenants[tenant].region.provide();
    let began = Instant::now();
    let ended = tenants[tenant].act(act, &tenants[tenant].folders[folder], i, &mut random);
    Made { tenant, folder, act, took: began.elapsed(), ended }
}

/// I1 to I3: holds what is stored against what the calls said.
fn stored(t: &mut Tally, tenants: &[Tenant<'_>], made: &HashMap<usize, Made>) {
    let mut copies: HashMap<usize, Vec<String>> = HashMap::new();
    for (n, tenant) in tenants.iter().enumerate() {
        for (f, folder) in tenant.folders.iter().enumerate() {
            let id = &folder.record.id;
            for stored in tenant.region.emulator.attachments_of(tenant.organisation, "Contacts", id) {
                match sender(&stored).and_then(|i| Some((i, made.get(&i)?))) {
                    Some((i, by)) if (by.tenant, by.folder) == (n, f) => copies.entry(i).or_default().push(stored.id),
                    Some(_) => t.crossed += 1,
                    None => t.wrong.push(format!("I2: {} is stored otherwise than it was sent", stored.name)),
                }
            }
            if !folder.photo_is(tenant.region.emulator.photo_of(tenant.organisation, "Contacts", id).as_deref()) {
                t.wrong.push(format!("I2: the photo of {id} is another one"));
            }
        }
    }
    for (i, made) in made.iter().filter(|(_, made)| made.act.uploads()) {
        let copies = copies.remove(i).unwrap_or_default();
        let before = (t.unreported, t.lost);
        let folder = &tenants[made.tenant].folders[made.folder];
        match (&made.ended.uploaded, &made.ended.error) {
            (Some(uploaded), _) => {
                t.settled += usize::from(uploaded.settled);
                let is_there = copies.contains(&uploaded.id);
                t.lost += usize::from(folder.must_be_there(*i).is_some_and(|must| must != is_there));
                t.unreported += copies.iter().filter(|id| **id != uploaded.id && !uploaded.twins.contains(id)).count();
            }
            (_, Some(error)) if error.detail().outcome_open => {
                let named = copies.iter().all(|id| error.detail().candidates.contains(id));
                t.unreported += if copies.len() > 1 && !named { copies.len() } else { 0 };
            }
            _ => t.unreported += copies.len(),
        }
        if before != (t.unreported, t.lost) {
            let ended = &made.ended;
            t.wrong.push(format!("call {i}, {:?}: stored as {copies:?}; {:?} {:?}", made.act, ended.uploaded, ended.error));
        }
    }
    t.unreported += copies.values().map(Vec::len).sum::<usize>(); // by a call that uploads nothing
}

/// I5, I7, I8, and whose tokens the requests carried.
fn ledger(t: &mut Tally, region: &Region, tenants: &[Tenant<'_>]) {
    let ledger = region.emulator.ledger();
    let own: Vec<_> = tenants.iter().filter(|tenant| std::ptr::eq(tenant.region, region)).collect();
    let owner = |path: &str| own.iter().find(|o| o.folders.iter().any(|f| path.split('/').any(|part| part == f.record.id))).map(|o| o.organisation);
    let issued: HashMap<_, _> = ledger.tokens_issued.iter().map(|token| (token.token.as_str(), token.organisation)).collect();
    for request in ledger.requests.iter().filter(|r| r.operation != "token") {
        let holder = request.token.as_deref().and_then(|token| issued.get(token).copied());
        t.crossed += usize::from(holder.is_none() || holder != owner(&request.path));
    }
    t.requests += ledger.requests.iter().filter(|r| r.operation != "token").count();
    t.tokens += ledger.requests.iter().filter(|r| r.operation == "token").count();
    t.issued += ledger.tokens_issued.len();
    let fired = ledger.faults_fired.iter().filter(|f| f.operation != "token").count();
    t.faults += fired;
    t.refusals += ledger.faults_fired.iter().filter(|f| refuses(&f.fault)).count();
    t.unfired += region.taken().abs_diff(fired);
    t.secrets += own.iter().map(|tenant| tenant.canary.found().len()).sum::<usize>();
}

/// Runs a round and judges it.
fn run(mix: Mix, calls: usize, seed: u64) -> Tally {
    let began = Instant::now();
    let t = round(mix, calls, seed);
    println!("\nSEED={seed}, {mix:?}, {:.1} s\n{t}", began.elapsed().as_secs_f64());
    let wrong = t.violations(mix);
    assert!(wrong.is_empty(), "SEED={seed}, {mix:?}: {wrong:#?}");
    t
}

#[test]
fn two_thousand_uploads_through_chaos_are_each_there_once() {
    run(Mix::Uploads, 2_000, seed());
}

#[test]
fn two_organisations_in_two_regions_do_everything_through_chaos_and_nothing_crosses() {
    let mut process = crate::again("chaos::soak");
    let process = process.arg("--nocapture").env("SECONDS", "0").env("UPLOADS", "0").env("CALLS", "3000").stdout(std::process::Stdio::piped());
    let output = process.output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// In a process of its own, so that what it holds can be told.
#[test]
#[ignore = "long: make soak"]
fn soak() {
    let (began, first) = (Instant::now(), seed());
    let most = Duration::from_secs(number("SECONDS").unwrap_or(60));
    let calls = |name| number(name).unwrap_or(10_000) as usize;
    let mut total = Tally::default();
    // What a first call sets up for good (roots, tables) is no leak of the next.
    round(Mix::All, 40, first);
    let (start, heap_at_start) = (held(), heap());
    for seed in first.. {
        for (mix, calls) in [(Mix::Uploads, calls("UPLOADS")), (Mix::All, calls("CALLS"))] {
            if calls > 0 {
                total += run(mix, calls, seed);
                let (leaks, grown) = (leaks(start), heap() as i64 - heap_at_start as i64);
                assert!(leaks.is_none() && grown < LEAK, "SEED={seed}, {mix:?}: {leaks:?}, heap {grown:+} bytes");
                println!("heap {grown:+} bytes since the start, peak of memory {:.0} MB", peak() as f64 / 1e6);
            }
        }
        if began.elapsed() >= most {
            let end = held();
            println!("\nAltogether, {:.0} s, seeds {first} to {seed}\n{total}", began.elapsed().as_secs_f64());
            println!("  threads {} -> {}, descriptors {} -> {}", start.threads, end.threads, start.descriptors, end.descriptors);
            println!("  heap {heap_at_start} -> {} bytes, peak of memory {:.0} MB", heap(), peak() as f64 / 1e6);
            return;
        }
    }
}
