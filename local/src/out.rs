//! What commands print: the one place that writes to standard output and standard error. `println!` panics where it
//! cannot write.

use std::fmt;
use std::io::{self, Write};

use anyhow::Context;

/// Writes to standard output. That nobody reads any further (`| head`) is no fault: the command goes on to its end,
/// and to the exit code that it has.
pub(crate) fn print(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    print_to(io::stdout().lock(), text)
}

fn print_to(mut output: impl Write, text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    // As one text: standard output is written line by line otherwise.
    taken(output.write_all(fmt::format(text).as_bytes()).and_then(|()| output.flush()))
}

/// Whether standard output took what was written to it, or nobody is there to read it.
pub(crate) fn taken(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// Tells what is probably not meant, and goes on.
pub(crate) fn warn(warning: &dyn fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "warning: {warning}");
}

/// Tells why the program ends. Where standard error takes nothing either, the exit code is what is left to say.
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
    fn a_reader_that_left_is_no_fault_and_everything_else_is() {
        assert!(print_to(Broken(io::ErrorKind::BrokenPipe), format_args!("x")).is_ok());
        let error = print_to(Broken(io::ErrorKind::StorageFull), format_args!("x")).unwrap_err();
        assert!(format!("{error:#}").starts_with("cannot write to standard output: "), "{error:#}");
    }
}
