//! Progress on a terminal: a bar for each transfer that takes a while, and one for all of them. Elsewhere nothing is drawn.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A transfer of fewer bytes, or of less time, is over before a bar could be read.
const SMALL: u64 = 1 << 20;
const SHORT: Duration = Duration::from_millis(500);

/// The bars of a command. Clones are the same ones.
#[derive(Clone)]
pub struct Bars(Option<Arc<Drawn>>);

struct Drawn {
    all: MultiProgress,
    total: ProgressBar,
    expected: AtomicU64,
    done: AtomicU64,
}

/// The bar of one transfer.
pub struct Bar {
    bars: Bars,
    name: String,
    began: Instant,
    own: Option<ProgressBar>,
    told: u64,
}

impl Bars {
    /// Drawn on standard error, where that is a terminal and they are wanted.
    pub fn new(wanted: bool) -> Bars {
        if !wanted || !std::io::stderr().is_terminal() {
            return Bars(None);
        }
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let total = all.add(ProgressBar::no_length().with_style(style("{bytes:>10} of {total_bytes:<10} {wide_bar} {bytes_per_sec:>12} {eta:>4}")));
        Bars(Some(Arc::new(Drawn { all, total, expected: AtomicU64::new(0), done: AtomicU64::new(0) })))
    }

    /// So many bytes more are to come in all.
    pub fn expect(&self, bytes: u64) {
        if let Some(drawn) = &self.0 {
            drawn.expected.fetch_add(bytes, Relaxed);
        }
    }

    /// The bar of a transfer that begins.
    pub fn begin(&self, name: &str) -> Bar {
        Bar { bars: self.clone(), name: zcrm::one_line(name), began: Instant::now(), own: None, told: 0 }
    }

    /// Does something to the terminal while no bar stands there.
    pub fn above<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(drawn) => drawn.all.suspend(print),
            None => print(),
        }
    }

    /// Takes all of them away.
    pub fn clear(&self) {
        if let Some(drawn) = &self.0 {
            drawn.total.finish_and_clear();
            let _ = drawn.all.clear(); // the terminal may be gone
        }
    }
}

impl Drawn {
    fn bar(&self, name: &str) -> ProgressBar {
        let bar = ProgressBar::no_length().with_style(style("{prefix:30!} {wide_bar} {bytes:>10} of {total_bytes:<10}"));
        let bar = self.all.insert_before(&self.total, bar);
        bar.set_prefix(name.to_owned());
        bar
    }
}

impl Bar {
    /// How far the transfer is: less than before when it begins again.
    pub fn at(&mut self, done: u64, of: Option<u64>) {
        let Some(drawn) = &self.bars.0 else { return };
        drawn.done.fetch_add(done, Relaxed);
        drawn.done.fetch_sub(self.told, Relaxed);
        self.told = done;
        if self.own.is_none() && of.is_some_and(|of| of < SMALL) && self.began.elapsed() < SHORT {
            return;
        }
        let own = self.own.get_or_insert_with(|| drawn.bar(&self.name));
        of.into_iter().for_each(|of| own.set_length(of));
        own.set_position(done);
        drawn.total.set_length(drawn.expected.load(Relaxed));
        drawn.total.set_position(drawn.done.load(Relaxed));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.own.iter().for_each(ProgressBar::finish_and_clear);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is one").progress_chars("=> ")
}
