//! Status and output of a process.

use std::process::{Child, Command, Output};

/// Exit status and texts of a process that has ended.
#[derive(Debug)]
pub(crate) struct Report {
    #[expect(dead_code, reason = "shown where an assertion fails")]
    command: String,
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Report {
    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self::new(format!("{command:?}"), output)
    }

    /// Waits for the end of a process.
    #[track_caller]
    pub(crate) fn of_child(child: Child) -> Self {
        Self::new("child".to_owned(), child.wait_with_output().unwrap())
    }

    #[track_caller]
    fn new(command: String, output: Output) -> Self {
        let [stdout, stderr] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        let status = output.status.code();
        let report = Self {
            command,
            status,
            stdout,
            stderr,
        };
        assert!(!report.stderr.contains("panicked"), "{report:#?}");
        report
    }

    /// Itself, of a process that must have succeeded.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.status, Some(0), "{self:#?}");
        self
    }

    /// The one error line of a process that must have ended with status 1.
    #[track_caller]
    pub(crate) fn failed(&self) -> String {
        self.error(1)
    }

    /// The one error line of a process that must have ended with this status and printed nothing.
    #[track_caller]
    pub(crate) fn refused(&self, status: i32) -> String {
        assert!(self.stdout.is_empty(), "{self:#?}");
        self.error(status)
    }

    #[track_caller]
    fn error(&self, status: i32) -> String {
        assert_eq!(self.status, Some(status), "{self:#?}");
        let mut errors = self
            .stderr
            .lines()
            .filter(|line| line.starts_with("error: "));
        let error = errors.next().unwrap_or_else(|| panic!("{self:#?}"));
        assert_eq!(errors.next(), None, "{self:#?}");
        error.to_owned()
    }
}
