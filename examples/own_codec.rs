//! Stores objects of your own: a codec is a name, a version, and the way there and back.
//!
//!     cargo run --release --example own_codec

#![allow(clippy::print_stdout, reason = "a program that shows its results")]

use vlstore::codec::{AnyCodec, Codec, Encoded};
use vlstore::{Depot, DepotWriter, Error, Result, StoreOptions};

/// A graph of numbered nodes: pairs of node numbers, 8 bytes each edge.
#[derive(Debug, Clone, Copy)]
struct EdgeList;

impl AnyCodec for EdgeList {
    fn name(&self) -> &'static str {
        "edge-list"
    }

    fn version(&self) -> u32 {
        1
    }

    /// What the index keeps beside the length: here the number of edges.
    fn weight(&self, bytes: &[u8]) -> Result<u32> {
        Ok(u32::try_from(self.decode(bytes)?.len()).unwrap_or(u32::MAX))
    }
}

impl Codec for EdgeList {
    type Input<'a> = [[u32; 2]];
    type View<'a> = &'a [[u32; 2]];

    fn encode(&self, edges: &[[u32; 2]], out: &mut Vec<u8>) -> Result<Encoded> {
        out.extend_from_slice(bytemuck::cast_slice(edges));
        Ok(Encoded { weight: u32::try_from(edges.len()).unwrap_or(u32::MAX) })
    }

    fn decode<'a>(&self, bytes: &'a [u8]) -> Result<&'a [[u32; 2]]> {
        // A view of the record where it lies; records start at a multiple of 8.
        bytemuck::try_cast_slice(bytes)
            .map_err(|e| Error::codec("edge-list", format!("{} bytes: {e}", bytes.len())))
    }
}

fn main() -> Result<()> {
    let path = std::env::temp_dir().join(format!("graphs-{}.vlstore", std::process::id()));
    let mut writer = DepotWriter::create(&path, EdgeList, &StoreOptions::default())?;
    for nodes in 2..500_u32 {
        let ring: Vec<[u32; 2]> = (0..nodes).map(|n| [n, (n + 1) % nodes]).collect();
        writer.insert(format!("ring of {nodes}"), &ring)?;
    }
    writer.close()?;

    let depot = Depot::open(&path, EdgeList)?;
    println!(
        "{} graphs; number 100 has {} edges, told by the index",
        depot.len(),
        depot.weight_at(100)?
    );
    let ring = depot.get("ring of 3")?;
    assert_eq!(ring.view()?, [[0, 1], [1, 2], [2, 0]]);

    // The store remembers the codec: another one is refused by name.
    let refused = Depot::open(&path, vlstore::codec::RawCodec).err();
    println!("as raw bytes: {}", refused.map_or_else(String::new, |e| e.to_string()));
    std::fs::remove_file(&path).map_err(|e| Error::io("remove the example's file", e))
}
