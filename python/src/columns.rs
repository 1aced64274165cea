//! Numbers of many records without the records: columns, chosen fields of frames, statistics.

use crate::codec::{RecordCodec, Typed};
use crate::error::{Failure, Outcome, invalid};
use crate::handle::View;
use crate::numpy::fresh;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use vlstore::AlignedBuf;
use vlstore::Readable;
use vlstore::codec::{
    AnyCodec, ArrayCodec, Codec, DType, Fields, FlatF32Codec, MdFrameCodec, RawCodec,
};
use vlstore::depot::{Columns, Frames, STATISTICS, Statistics};
use vlstore::{Column, ColumnData, ColumnValues, Error};

/// Blocks of the first record from which on the fields of a batch are read in parts.
const SPREAD: u64 = 4;

impl Typed {
    fn any(&self) -> &'static dyn AnyCodec {
        match self.codec.as_deref() {
            Some(RecordCodec::MdFrame) => &MdFrameCodec,
            Some(RecordCodec::Array) => &ArrayCodec,
            Some(RecordCodec::FlatF32) => &FlatF32Codec,
            _ => &RawCodec,
        }
    }

    /// A column as an array.
    pub(crate) fn column(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        let codec = self.any();
        let found = self.handle.read(py, |v| {
            let columns = v.columns();
            Ok(columns.column_by(codec, name, 0..columns.records())?)
        })?;
        array(py, found, codec.name() == MdFrameCodec.name())
    }

    /// Names of all columns: those of the store, those of the codec, and those of every store.
    pub(crate) fn column_names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let made = self.any().rows().map_or(&[][..], |maker| maker.columns);
        let kept = self.handle.read(py, |v| Ok(v.columns().kept().to_vec()))?;
        let mut names: Vec<String> = Vec::new();
        for column in kept.iter().chain(made).chain(&[Column::SITES, Column::BYTES]) {
            if !names.contains(&column.name.to_string()) {
                names.push(column.name.to_string());
            }
        }
        Ok(names)
    }

    /// Statistics of frames as a dict; those that are kept, if they are up to date.
    pub(crate) fn statistics<'py>(
        &self,
        py: Python<'py>,
        keep: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.of_frames(py)?;
        if keep {
            self.handle.write(py, |w| Ok(w.commit()?))?;
        }
        let snapshot = self.handle.read(py, |v| {
            let ahead = v.is_dirty();
            let snapshot = v.committed()?;
            if ahead {
                let why = "there are records that are not committed: commit first";
                return Err(Error::invalid("statistics", why).into());
            }
            Ok(snapshot)
        })?;
        let mut raised = None;
        let found = py.detach(|| {
            Statistics::of(&snapshot, |_, _| {
                Python::attach(|py| py.check_signals()).map_err(|error| {
                    raised = Some(error);
                    Error::Interrupted
                })
            })
        });
        if let Some(error) = raised {
            return Err(error);
        }
        let found = found.map_err(Failure::from)?;
        if keep && Statistics::kept(&snapshot).is_none_or(|kept| !kept.current) {
            let statistics =
                found.attributes(&snapshot).get(STATISTICS).cloned().unwrap_or_default();
            self.handle.write(py, |w| {
                let mut attributes = w.attributes();
                if let Some(members) = attributes.as_object_mut() {
                    members.insert(STATISTICS.into(), statistics);
                }
                w.set_attributes(&attributes)?;
                Ok(w.commit()?)
            })?;
        }
        as_dict(py, &found)
    }
}

fn as_dict<'py>(py: Python<'py>, s: &Statistics) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    let [fewest, most] = s.sites_range;
    out.set_item("frames", s.frames)?;
    out.set_item("sites", s.sites)?;
    out.set_item("sites_range", (fewest, most))?;
    out.set_item("energies", s.energies)?;
    out.set_item("energy_mean", s.energy_mean)?;
    out.set_item("energies_per_site", s.energies_per_site)?;
    out.set_item("energy_per_site_mean", s.energy_per_site_mean)?;
    out.set_item("energy_per_site_std", s.energy_per_site_std)?;
    out.set_item("force_components", s.force_components)?;
    out.set_item("force_rms", s.force_rms)?;
    out.set_item("force_max", s.force_max)?;
    let types = PyDict::new(py);
    for (kind, count) in &s.types {
        types.set_item(kind, count)?;
    }
    out.set_item("types", types)?;
    Ok(out)
}

/// `(records,)`, or `(records, count)`; vectors of a cell `(records, 3, 3)`.
fn array(py: Python<'_>, data: ColumnData, of_frames: bool) -> PyResult<Py<PyAny>> {
    let count = data.column.count as usize;
    let records = data.values.len() / count.max(1);
    let shape = match (count, of_frames && data.column.name == "cell") {
        (1, _) => vec![records],
        (9, true) => vec![records, 3, 3],
        _ => vec![records, count],
    };
    let kind = match &data.values {
        ColumnValues::I64(_) => DType::I64,
        ColumnValues::F64(_) => DType::F64,
    };
    let (array, mut memory) = fresh(py, kind, &shape)?;
    let bytes: &[u8] = match &data.values {
        ColumnValues::I64(v) => bytemuck::cast_slice(v),
        ColumnValues::F64(v) => bytemuck::cast_slice(v),
    };
    let out = memory.as_mut_slice();
    if out.len() != bytes.len() {
        return Err(invalid(py, "a column is not as long as its records"));
    }
    out.copy_from_slice(bytes);
    Ok(array)
}

impl View<'_> {
    fn columns(&self) -> &dyn Columns {
        match self {
            Self::Reader(s) => *s,
            Self::Writer(w) => *w,
        }
    }

    fn frames(&self) -> &dyn Frames {
        match self {
            Self::Reader(s) => *s,
            Self::Writer(w) => *w,
        }
    }

    /// The frame at `ordinal` as a record with `fields` and nothing else.
    pub(crate) fn frame_with(&self, ordinal: u64, fields: &[String]) -> Outcome<Vec<u8>> {
        let mut out = Vec::new();
        for frame in self.frames().frames_at(&[ordinal], Fields::named(fields)?)? {
            MdFrameCodec.encode(&frame, &mut out)?;
        }
        Ok(out)
    }

    /// Records that hold the fields alone, where the frames are so large that reading them in
    /// parts is less work; `None` where it is not, or for what only whole frames have.
    pub(crate) fn slim(
        &self,
        ordinals: &[u64],
        fields: Option<&[String]>,
    ) -> Outcome<Option<Vec<AlignedBuf>>> {
        let Some(Ok(fields)) = fields.map(Fields::named) else { return Ok(None) };
        let Some(first) = ordinals.first() else { return Ok(None) };
        let frames = self.frames();
        if frames.spread(*first)?.0 < SPREAD {
            return Ok(None);
        }
        let mut space = Vec::new();
        let slim = frames.frames_at(ordinals, fields)?.into_iter().map(|frame| {
            space.clear();
            MdFrameCodec.encode(&frame, &mut space)?;
            Ok(AlignedBuf::copy_of(&space)?)
        });
        slim.collect::<Outcome<Vec<_>>>().map(Some)
    }
}
