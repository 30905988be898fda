//! People, as the chat knows them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who somebody is who used the command line instead of the chat.
const OPERATOR: &str = "an operator on the command line";

/// A person's id in the chat: 1 to 40 capital letters and digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonId(String);

/// The text is not a person's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a person's id must be 1 to 40 capital letters and digits")]
pub struct PersonIdError;

impl PersonId {
    /// Somebody at the command line of a machine that can write the store. No id of Slack is like it.
    pub fn operator() -> Self {
        Self("OPERATOR".to_owned())
    }

    /// Whether it is [`PersonId::operator`].
    pub fn is_operator(&self) -> bool {
        self.0 == "OPERATOR"
    }

    /// The id as people read it: the words for [`PersonId::operator`] where it is that.
    pub fn shown(&self) -> &str {
        if self.is_operator() { OPERATOR } else { &self.0 }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PersonId {
    type Error = PersonIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_id =
            (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if is_id { Ok(Self(text)) } else { Err(PersonIdError) }
    }
}

impl From<PersonId> for String {
    fn from(id: PersonId) -> Self {
        id.0
    }
}

/// Masked: the ids of people stay in the chat.
impl fmt::Debug for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonId(***)")
    }
}
