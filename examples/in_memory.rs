//! Keeps compressed buffers in memory, saves them to a file and loads them again.
//!
//!     cargo run --release --example in_memory

#![allow(clippy::print_stdout, reason = "a program that shows its results")]

use std::sync::Arc;
use vlstore::Readable;
use vlstore::backend::{Backend, MemoryBackend};
use vlstore::{Error, Layout, Result, Store, StoreOptions, Writer};

fn main() -> Result<()> {
    let memory = Arc::new(MemoryBackend::new());
    let options = StoreOptions {
        layout: Layout { typesize: 8, ..Layout::default() },
        ..StoreOptions::default()
    };
    let mut writer = Writer::create_in(memory.clone(), &options)?;

    let mut raw = 0;
    for month in 1..=12_i64 {
        let series: Vec<u8> =
            (0..100_000_i64).flat_map(|i| (i / 7 * month).to_le_bytes()).collect();
        raw += series.len();
        writer.insert(format!("month {month}"), &series)?;
    }
    writer.set_attributes(&serde_json::json!({ "year": 2024, "unit": "kWh" }))?;
    // Read back at once, committed or not.
    assert_eq!(writer.get("month 3")?.len(), 800_000);
    writer.seal()?;
    println!("{raw} bytes in {} bytes of memory", memory.len()?);

    // The bytes of the store are the file: save them, or send them somewhere.
    let path = std::env::temp_dir().join(format!("buffers-{}.vlstore", std::process::id()));
    memory.save(&path, vlstore::Existing::Refuse)?;
    let from_bytes = Store::from_bytes(memory.to_bytes())?;
    assert_eq!(*Store::open(&path)?.get("month 12")?, *from_bytes.get("month 12")?);

    // From the file into memory again, and on.
    let loaded = Arc::new(MemoryBackend::load(&path)?);
    let mut writer = Writer::open_in(loaded, &options.write)?;
    writer.insert("month 13", b"there is none")?;
    println!("{:?} with attributes {}", from_bytes.keys()?, from_bytes.attributes());
    std::fs::remove_file(&path).map_err(|e| Error::io("remove the example's file", e))
}
