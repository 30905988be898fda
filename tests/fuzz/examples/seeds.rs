//! Writes the generated seeds: `cargo run -p monitor-fuzz --example seeds`. Existing files are kept.

use std::fs;
use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, name, bytes) in monitor_fuzz::seeds() {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        let file = folder.join(name);
        if !file.exists() {
            fs::write(file, bytes)?;
        }
    }
    Ok(())
}
