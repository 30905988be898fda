//! Items that are larger than a row may be: the first part is in the item's own row, the others are rows beside it.
//!
//! All parts are put in one transaction, but a reader may see parts of two puts. They bear the mark of their put, and a
//! reader that finds another mark reads again.

use std::hash::{DefaultHasher, Hash, Hasher};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::Blob;
use monitor_pipeline::items::Item;
use monitor_pipeline::ports::StoreError;

use crate::layout::Place;
use crate::row::{self, BODY, Body, EXPIRES_AT, Row};

/// The longest body of a row, in bytes. DynamoDB's limit is 400 KB for the whole row.
const LONGEST_BODY: usize = 350 << 10;
/// In an item's own row: the number of its other parts.
const MORE: &str = "more";
/// The mark of the put.
const MARK: &str = "mark";

/// The rows of an item; the first is its own.
pub(crate) fn write(item: &Item) -> Result<Vec<Row>, StoreError> {
    let (mut first, body) = row::write(item)?;
    let bytes = match body {
        Body::Deflated(bytes) if bytes.len() > LONGEST_BODY => bytes,
        body => {
            first.insert(BODY.to_owned(), body.into_value());
            return Ok(vec![first]);
        }
    };
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let mark = AttributeValue::S(format!("{:016x}", hasher.finish()));
    let chunks: Vec<&[u8]> = bytes.chunks(LONGEST_BODY).collect();
    first.insert(MORE.to_owned(), AttributeValue::N((chunks.len() - 1).to_string()));
    let expires_at = first.get(EXPIRES_AT).cloned();
    let place = row::place(&first);
    let mut rows = vec![first];
    rows.extend((1..chunks.len()).map(|number| row::at(&part(&place, number))));
    for (row, chunk) in rows.iter_mut().zip(chunks) {
        row.insert(BODY.to_owned(), AttributeValue::B(Blob::new(chunk)));
        row.insert(MARK.to_owned(), mark.clone());
        if let Some(expires_at) = &expires_at {
            row.insert(EXPIRES_AT.to_owned(), expires_at.clone());
        }
    }
    Ok(rows)
}

/// The places of an item's other parts, by its own row.
pub(crate) fn others(first: &Row) -> Vec<Place> {
    let place = row::place(first);
    let more = row::number(first, MORE).and_then(|more| usize::try_from(more).ok()).unwrap_or(0);
    (1..=more).map(|number| part(&place, number)).collect()
}

/// Joins an item's row with its other parts, in order; `None` if they are of different puts.
pub(crate) fn join<'a>(first: &Row, others: impl Iterator<Item = Option<&'a Row>>) -> Option<Row> {
    let bytes = |row: &Row| row.get(BODY).and_then(|body| body.as_b().ok()).map(|body| body.as_ref().to_vec());
    let mut joined = bytes(first)?;
    for other in others {
        let other = other.filter(|other| other.get(MARK) == first.get(MARK))?;
        joined.extend(bytes(other)?);
    }
    let mut row = first.clone();
    row.insert(BODY.to_owned(), AttributeValue::B(Blob::new(joined)));
    Some(row)
}

fn part(place: &Place, number: usize) -> Place {
    Place { partition: place.partition.clone(), sort: format!("part#{}#{number:04}", place.sort) }
}
