//! Questions to a person at a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zcrm::Cancel;

use crate::exit::Stop;

/// Whether there is somebody to ask.
pub fn is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// What is typed after the question, without blanks around it. What is `hidden` isn't shown while it is typed.
pub fn ask(question: &str, hidden: bool, cancel: &Cancel) -> Result<String, Stop> {
    let _ = write!(io::stderr(), "{question}: "); // a person who doesn't see it can't answer
    let _hiding = if hidden { Some(Hiding::begin().map_err(unreadable)?) } else { None };
    let answer = line(cancel)?;
    if hidden {
        let _ = writeln!(io::stderr()); // the one that was typed wasn't shown
    }
    Ok(answer.trim().to_owned())
}

/// One line, as far as nothing ends the command before. It is read byte by byte and past every buffer: what is in one, no poll would tell.
fn line(cancel: &Cancel) -> Result<String, Stop> {
    let mut bytes = Vec::new();
    loop {
        if cancel.is_fired() {
            return Err(Stop::new("ended before all was answered"));
        }
        let wait = Timespec::try_from(Duration::from_millis(50)).expect("it is short");
        let ready = poll(&mut [PollFd::new(&io::stdin(), PollFlags::IN)], Some(&wait));
        match ready {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(unreadable(error)),
        }
        let mut byte = [0];
        match rustix::io::read(io::stdin(), &mut byte).map_err(unreadable)? {
            0 => return Err(Stop::new("standard input ended before all was answered")),
            _ if byte[0] == b'\n' => break,
            _ => bytes.push(byte[0]),
        }
    }
    String::from_utf8(bytes).map_err(|_| Stop::new("the answer is not UTF-8"))
}

fn unreadable(error: impl std::fmt::Display) -> Stop {
    Stop::new(format_args!("the answer can't be read: {error}"))
}

/// The terminal shows what is typed again when this is dropped.
struct Hiding(Termios);

impl Hiding {
    fn begin() -> rustix::io::Result<Hiding> {
        let shown = tcgetattr(io::stdin())?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Hiding(shown))
    }
}

impl Drop for Hiding {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0); // the terminal may be gone
    }
}
