//! Progress on a terminal: a bar for each transfer, and one for all of them. Elsewhere nothing is drawn.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The bars of a command. Clones are the same ones.
#[derive(Clone)]
pub struct Bars(Option<Drawn>);

#[derive(Clone)]
struct Drawn {
    all: MultiProgress,
    total: ProgressBar,
}

/// The bar of one transfer.
pub struct Bar {
    own: Option<ProgressBar>,
    bars: Bars,
    told: u64,
}

impl Bars {
    /// Drawn on standard error, where that is a terminal and they are wanted.
    pub fn new(wanted: bool) -> Bars {
        if !wanted || !std::io::stderr().is_terminal() {
            return Bars(None);
        }
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let total = all.add(ProgressBar::no_length().with_style(style("total")));
        Bars(Some(Drawn { all, total }))
    }

    /// So many bytes more are to come in all.
    pub fn expect(&self, bytes: u64) {
        if let Some(Drawn { total, .. }) = &self.0 {
            total.inc_length(bytes);
        }
    }

    /// The bar of a transfer that begins.
    pub fn begin(&self, name: &str) -> Bar {
        let own = self.0.as_ref().map(|Drawn { all, total }| {
            total.enable_steady_tick(Duration::from_millis(200));
            let bar = all.insert_before(total, ProgressBar::no_length().with_style(style("file")));
            bar.set_prefix(zcrm::one_line(name));
            bar
        });
        Bar { own, bars: self.clone(), told: 0 }
    }

    /// Does something to the terminal while no bar stands there.
    pub fn above<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(Drawn { all, .. }) => all.suspend(print),
            None => print(),
        }
    }

    /// Takes all of them away.
    pub fn clear(&self) {
        if let Some(Drawn { all, total }) = &self.0 {
            total.finish_and_clear();
            let _ = all.clear(); // the terminal may be gone
        }
    }
}

impl Bar {
    /// How far the transfer is: less than before when it begins again.
    pub fn at(&mut self, done: u64, of: Option<u64>) {
        let (Some(own), Some(Drawn { total, .. })) = (&self.own, &self.bars.0) else { return };
        of.into_iter().for_each(|of| own.set_length(of));
        own.set_position(done);
        if done >= self.told {
            total.inc(done - self.told)
        } else {
            total.dec(self.told - done)
        }
        self.told = done;
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(own) = &self.own {
            own.finish_and_clear();
        }
    }
}

fn style(what: &str) -> ProgressStyle {
    let template = match what {
        "total" => "{bytes:>10} of {total_bytes:<10} {wide_bar} {bytes_per_sec:>12} {eta:>4}",
        _ => "{prefix:30!} {wide_bar} {bytes:>10} of {total_bytes:<10}",
    };
    ProgressStyle::with_template(template).expect("the template is one").progress_chars("=> ")
}
