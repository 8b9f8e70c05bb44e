//! Log lines.

/// Where log lines go: level (1 error … 5 trace) and one line without secrets.
pub type LogFn = dyn Fn(LogLevel, &str) + Send + Sync;

/// Level of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum LogLevel {
    /// A call failed.
    Error = 1,
    /// Something was waited for or tried again.
    Warn = 2,
    /// One line for each call.
    Info = 3,
    /// One line for each HTTP exchange.
    Debug = 4,
    /// Inner steps.
    Trace = 5,
}
