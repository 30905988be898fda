//! `runner-monitor completions` and `man`: what a package of the program installs beside it.

use std::path::Path;

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;

use crate::Outcome;
use crate::out;

/// Prints the completions for a shell.
pub(crate) fn completions(shell: Shell, mut command: Command) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "runner-monitor", &mut script);
    // clap_complete 4.6 names the arms of bash in another way than the commands, if the program's name has a hyphen
    // (clap-rs/clap#6421).
    let script = String::from_utf8_lossy(&script).replace("runner__subcmd__monitor", "runner__monitor");
    out::print(format_args!("{script}"))?;
    Ok(Outcome::Healthy)
}

/// Writes `runner-monitor.1`, and a page for each command.
pub(crate) fn manual_pages(folder: &Path, command: Command) -> anyhow::Result<Outcome> {
    clap_mangen::generate_to(command, folder)
        .with_context(|| format!("the manual pages cannot be written to {}", folder.display()))?;
    Ok(Outcome::Healthy)
}
