//! Names in settings and commands: targets, subjects, times, durations.

use monitor_domain::subject::Subject;
use monitor_domain::target::{Target, TargetKind, TargetSpec};
use monitor_domain::time::{Timestamp, format_duration, parse_duration, spoken_duration};

use crate::text_checks::assert_storable;

const LONGEST: usize = 800;

/// A name that was read is written in the same way, and identity does not depend on case.
pub(crate) fn names(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match text.parse::<Target>() {
        Ok(target) => {
            assert_eq!(target.to_string().parse::<Target>().unwrap().as_str(), target.as_str());
            let shouted: Target = target.as_str().to_ascii_uppercase().parse().unwrap();
            assert_eq!((shouted.id(), shouted.kind()), (target.id(), target.kind()));
            let rebuilt = match target.kind() {
                TargetKind::Repository => Target::repository(&format!("{}/{}", target.owner(), target.name())),
                TargetKind::Organization => Target::organization(target.name()),
                TargetKind::Enterprise => Target::enterprise(target.name()),
                TargetKind::Pools => Target::pools(target.pooled_credential().unwrap()),
            };
            assert_eq!(rebuilt.unwrap(), target, "a target built from its parts differs");
            assert!(TargetSpec::One(target.clone()).covers(&target));
            assert_eq!(Subject::from(&target).to_string().parse::<Subject>(), Ok(Subject::from(&target)));
        }
        Err(error) => assert_line(&error.to_string()),
    }
    match text.parse::<TargetSpec>() {
        Ok(spec) => assert_eq!(spec.to_string().parse::<TargetSpec>().unwrap(), spec),
        Err(error) => assert_line(&error.to_string()),
    }
    match text.parse::<Subject>() {
        Ok(subject) => assert_eq!(subject.to_string().parse::<Subject>(), Ok(subject)),
        Err(error) => assert_line(&error.to_string()),
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        assert_storable(moment);
    }
    match parse_duration(&text) {
        Ok(duration) => {
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            assert!(!spoken_duration(duration).is_empty());
        }
        Err(error) => assert_line(&error.to_string()),
    }
    if let Some(bytes) = input.first_chunk::<8>() {
        let moment = Timestamp::from_epoch_ms(i64::from_le_bytes(*bytes));
        assert_storable(moment);
    }
}

fn assert_line(text: &str) {
    crate::text_checks::assert_bearable(&text.replace(crate::text_checks::SECRET, "…"), LONGEST);
}
