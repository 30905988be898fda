//! Times as people at this machine read them.

use monitor_domain::time::Timestamp;

/// A time in this machine's zone, to the minute, with the offset.
pub(crate) fn minute(moment: Timestamp) -> String {
    in_zone(moment, &chrono::Local)
}

fn in_zone<Zone: chrono::TimeZone>(moment: Timestamp, zone: &Zone) -> String
where
    Zone::Offset: std::fmt::Display,
{
    let utc = chrono::DateTime::<chrono::Utc>::from_timestamp_millis(moment.epoch_ms());
    utc.map_or_else(
        || moment.to_string(),
        |utc| {
            let text = utc.with_timezone(zone).format("%Y-%m-%d %H:%M %:z").to_string();
            text.strip_suffix("+00:00").map_or(text.clone(), |bare| format!("{bare}UTC"))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_names_its_zone() {
        let moment = Timestamp::from_epoch_ms(1_800_000_000_000);
        assert_eq!(in_zone(moment, &chrono::Utc), "2027-01-15 08:00 UTC");
        let berlin = chrono::FixedOffset::east_opt(3_600).unwrap();
        assert_eq!(in_zone(moment, &berlin), "2027-01-15 09:00 +01:00");
    }
}
