//! A topology as text, for people.

use super::record::TopologyView;
use crate::Result;
use crate::codec::json::Json;
use crate::codec::md_frame::{NAME, array, properties_json, real_json};
use crate::codec::{TextView, ValuesView};
use std::io;

impl TopologyView<'_> {
    /// Writes the topology as one JSON object on one line, without a line end, in the manner of
    /// [`AnyCodec::write_json`](crate::codec::AnyCodec::write_json).
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if `out` fails.
    pub fn write_json(&self, out: &mut dyn io::Write) -> Result<()> {
        let t = self.fields();
        let mut json = Json::new(out);
        json.open('{')?;
        json.key("codec")?.text(NAME)?;
        json.key("kind")?.text("topology")?;
        if let Some(name) = t.name {
            json.key("name")?.text(name)?;
        }
        json.key("nsites")?.value(t.nsites)?;
        let sites = [t.nsites];
        if let Some(types) = t.types {
            array(&mut json, "types", &sites, ValuesView::I32(types))?;
        }
        real_json(&mut json, "masses", &sites, t.masses)?;
        real_json(&mut json, "charges", &sites, t.charges)?;
        texts(&mut json, "names", t.names)?;
        numbers(&mut json, "residues", t.residues)?;
        texts(&mut json, "residue_names", t.residue_names)?;
        if let Some(ids) = t.residue_ids {
            array(&mut json, "residue_ids", &[ids.len()], ValuesView::I32(ids))?;
        }
        numbers(&mut json, "segments", t.segments)?;
        texts(&mut json, "segment_names", t.segment_names)?;
        if let Some(bonds) = t.bonds {
            json.key("bonds")?.list(bonds)?;
        }
        if let Some(orders) = t.bond_orders {
            json.key("bond_orders")?.list(orders)?;
        }
        properties_json(&mut json, "atom_properties", &t.atom_properties, Some(t.nsites))?;
        json.close('}')
    }
}

fn texts(json: &mut Json<'_>, key: &str, values: Option<TextView<'_>>) -> Result<()> {
    values.map_or(Ok(()), |values| json.key(key)?.items(values.iter()))
}

fn numbers(json: &mut Json<'_>, key: &str, values: Option<&[u32]>) -> Result<()> {
    values.map_or(Ok(()), |values| json.key(key)?.list(values))
}
