//! Notifications on the console: if no webhook is set, and in the demo.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use monitor_domain::notifications::Notification;
use monitor_pipeline::items::Delivered;
use monitor_pipeline::ports::{Chat, ChatError, Form, Route};

use crate::render::{Message, render_console};
use crate::web::WebBase;

/// Writes each notification as several lines, in one write.
pub struct Console {
    writer: Mutex<Box<dyn Write + Send>>,
    colour: bool,
    web: WebBase,
}

impl Console {
    /// Writes to `writer`, with ANSI colours if `colour`.
    pub fn new(writer: impl Write + Send + 'static, colour: bool, web: WebBase) -> Self {
        Self { writer: Mutex::new(Box::new(writer)), colour, web }
    }

    /// Writes to standard output.
    pub fn stdout(colour: bool, web: WebBase) -> Self {
        Self::new(io::stdout(), colour, web)
    }

    /// Writes the text of a message.
    pub(crate) fn announce(&self, message: &Message) -> Result<(), ChatError> {
        let written = self.write(&format!("{}\n\n", message.text));
        written.map_err(|error| ChatError::Transient(format!("cannot write to the console: {error}")))
    }

    fn write(&self, lines: &str) -> io::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(lines.as_bytes())?;
        writer.flush()
    }
}

impl Chat for Console {
    /// Form and channel make no difference: a console has no layout to refuse, and there is only one console.
    async fn send(&self, notification: &Notification, _form: Form, _to: Route<'_>) -> Result<Delivered, ChatError> {
        let lines = render_console(notification, self.colour, &self.web);
        // An empty line separates it from the next.
        match self.write(&format!("{lines}\n")) {
            Ok(()) => Ok(Delivered::default()),
            Err(error) => Err(ChatError::Transient(format!("cannot write to the console: {error}"))),
        }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("colour", &self.colour).field("web", &self.web).finish_non_exhaustive()
    }
}
