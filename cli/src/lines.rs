//! Standard input line by line.

use std::io::{self, BufRead, Read};

use zcrm::Cancel;

use crate::exit::Stop;

/// More than a step may have: what is longer is cut there, and refused for its length.
const LONGEST: u64 = zcrm::step::MAX_INPUT_BYTES as u64 + 2;

/// Its lines, without their ends, and their numbers. Blank ones are counted and passed over. After a cancel there are no more.
pub struct Lines {
    cancel: Cancel,
    number: u64,
    /// Why it couldn't be read to its end.
    pub broken: Option<io::Error>,
}

impl Lines {
    pub fn new(cancel: &Cancel) -> Lines {
        Lines { cancel: cancel.clone(), number: 0, broken: None }
    }

    /// How reading ended.
    pub fn end(self) -> Result<(), Stop> {
        self.broken.map_or(Ok(()), |error| Err(Stop::new(format_args!("standard input can't be read: {error}"))))
    }

    fn read(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        let mut stdin = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            if (&mut stdin).take(LONGEST).read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if line.len() as u64 == LONGEST && line.last() != Some(&b'\n') {
                stdin.skip_until(b'\n')?;
            }
            while line.last().is_some_and(|end| matches!(end, b'\n' | b'\r')) {
                line.pop();
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some((self.number, line)));
            }
        }
    }
}

impl Iterator for Lines {
    type Item = (u64, Vec<u8>);

    fn next(&mut self) -> Option<(u64, Vec<u8>)> {
        if self.cancel.is_fired() {
            return None;
        }
        self.read().unwrap_or_else(|error| {
            self.broken = Some(error);
            None
        })
    }
}
