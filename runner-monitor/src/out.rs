//! The one place that writes to standard output and standard error. `println!` panics if it cannot write.

use std::fmt;
use std::io::{self, Write};

use anyhow::Context;

/// Writes to standard output. A reader that left (`| head`) is not an error: the command still runs to its end and
/// keeps its exit code.
pub(crate) fn print(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    print_to(io::stdout().lock(), text)
}

/// The version of the JSON that commands print. It changes when a key is removed or changes its meaning.
const JSON_VERSION: u32 = 1;

/// Prints a JSON object, with the version of its form.
pub(crate) fn print_json(mut document: serde_json::Value) -> anyhow::Result<()> {
    document["version"] = JSON_VERSION.into();
    print(format_args!("{document:#}\n"))
}

fn print_to(mut output: impl Write, text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    // In one write: standard output would write it line by line.
    ignore_broken_pipe(output.write_all(fmt::format(text).as_bytes()).and_then(|()| output.flush()))
}

/// Treats a reader that left as success; any other error of standard output is returned.
pub(crate) fn ignore_broken_pipe(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// Warns about a likely mistake.
pub(crate) fn warn(warning: &dyn fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "warning: {warning}");
}

/// Prints why the program ends. If standard error cannot be written either, only the exit code reports it.
pub(crate) fn error(error: &dyn fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "error: {error:#}");
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_reader_that_left_is_no_error() {
        assert!(print_to(Broken(io::ErrorKind::BrokenPipe), format_args!("x")).is_ok());
        let error = print_to(Broken(io::ErrorKind::StorageFull), format_args!("x")).unwrap_err();
        assert!(format!("{error:#}").starts_with("cannot write to standard output: "), "{error:#}");
    }
}
