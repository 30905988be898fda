//! Passes every file in `corpus/` to its target.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use monitor_fuzz::TARGETS;

#[test]
fn every_corpus_input_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let names = |folder: &Path| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&corpus), targets, "one folder for each target");
    for (target, run) in TARGETS {
        let folder = corpus.join(target);
        let files = names(&folder);
        assert!(!files.is_empty(), "{target} has no corpus");
        for file in files {
            println!("{target}/{file}");
            run(&fs::read(folder.join(file)).unwrap());
        }
    }
}

#[test]
fn empty_and_repeated_bytes_pass_for_every_target() {
    for (_, run) in TARGETS {
        run(b"");
        for byte in 0..=u8::MAX {
            run(&[byte]);
            run(&[byte; 40]);
        }
    }
}
