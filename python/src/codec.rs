//! Typed records: which codec a store uses, and Python objects to records and back.

use crate::arrays;
use crate::buffer::{Bytes, Memory, Record, copied_bytes};
use crate::error::{Failure, Outcome, from_error, invalid, of_record, raise, wrong_type};
use crate::frame::MdFrame;
use crate::handle::Handle;
use crate::key::described;
use crate::topology::Topology;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple, PyType};
use std::ops::Deref;
use std::sync::Arc;
use vlstore::Digest;
use vlstore::Readable;
use vlstore::codec::{AnyCodec as _, MdFrameCodec};
use vlstore::{Error, Key};

/// A store and the codec of its records, if it has one.
#[derive(Clone)]
pub(crate) struct Typed {
    pub(crate) handle: Arc<Handle>,
    /// `None` where values are bytes.
    pub(crate) codec: Option<Arc<RecordCodec>>,
    /// Whether bytes were asked for by name: then also those of a codec that nobody here knows.
    pub(crate) vouched: bool,
    /// Whether the mapping is of the records with a key alone, as the original's face has it.
    pub(crate) keyed: bool,
}

/// How Python objects become records.
pub(crate) enum RecordCodec {
    Raw,
    /// Frames of a trajectory.
    MdFrame,
    /// NumPy arrays of any type and shape.
    Array,
    /// float32 values without their shape.
    FlatF32,
    Python(PythonCodec),
}

/// A codec written in Python.
pub(crate) struct PythonCodec {
    /// What the user gave: an object with the methods, or a pair of functions.
    given: Py<PyAny>,
    encode: Py<PyAny>,
    decode: Py<PyAny>,
    sites: Option<Py<PyAny>>,
    name: String,
    version: u32,
}

/// The bytes of a record that is to be stored, wherever they lie.
pub(crate) enum Encoded {
    Given(Bytes),
    Made(Vec<u8>),
    Frame(Memory),
    /// A frame that refers to a topology, which is stored before it.
    Refers(Memory, Py<Topology>),
    /// A frame that may refer to what the store does not have: the writer checks it.
    Unproved(Box<Self>, Option<Digest>),
    /// Bytes that no codec has looked at: the writer has them checked by that of the store. `true`
    /// if the caller vouches for those of a codec that is known to nobody here.
    Unread(Bytes, bool),
}

impl Encoded {
    /// Puts the record, after what it refers to, and returns its ordinal.
    pub(crate) fn put(
        &self,
        writer: &mut vlstore::Writer,
        handle: &Handle,
        key: Option<&Key>,
        sites: u32,
        overwrite: bool,
    ) -> Outcome<u64> {
        match self {
            Self::Unread(_, vouched) => {
                let name = &writer.options().record_codec.0;
                if vlstore::codec::by_name(name).is_ok() {
                    return Ok(match key {
                        Some(key) => writer.put(key, self, overwrite)?,
                        None => writer.push(self)?,
                    });
                }
                if !vouched {
                    return Err(unknown_codec(name));
                }
            }
            Self::Unproved(_, digest) => {
                if let Some(digest) = digest
                    && !writer.contains_shared(digest)?
                {
                    let why = "is not in the store, and the frame does not bring it";
                    return Err(Error::invalid("topology", format!("{digest} {why}")).into());
                }
                return Ok(writer.put_sized(key, self, sites, overwrite)?);
            }
            Self::Refers(_, topology) => bring(topology.get(), writer, handle)?,
            Self::Given(_) | Self::Made(_) | Self::Frame(_) => {}
        }
        Ok(writer.put_unchecked(key, self, sites, overwrite)?)
    }
}

fn unknown_codec(name: &str) -> Failure {
    let why = format!(
        "the records of this store are of the codec {name:?}, which only your program knows: open \
         it with records=<that codec>, or with records=\"bytes\" to vouch for the bytes yourself"
    );
    Error::invalid("records", why).into()
}

/// Stores a topology, unless the writer is known to have it.
pub(crate) fn bring(
    topology: &Topology,
    writer: &mut vlstore::Writer,
    handle: &Handle,
) -> Outcome<()> {
    let digest = topology.digest();
    if !handle.has_shared(digest) {
        let sites = u32::try_from(topology.nsites()).unwrap_or(u32::MAX);
        writer.share_sized(topology.record().get(), sites)?;
        handle.note_shared(digest);
    }
    Ok(())
}

impl Deref for Encoded {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Given(bytes) | Self::Unread(bytes, _) => bytes,
            Self::Made(bytes) => bytes,
            Self::Frame(memory) | Self::Refers(memory, ..) => memory,
            Self::Unproved(encoded, _) => encoded,
        }
    }
}

impl RecordCodec {
    /// The codec that `given` names or is.
    pub(crate) fn new(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(name) = given.cast::<PyString>() {
            return Self::named(given.py(), &name.to_string_lossy());
        }
        PythonCodec::new(given).map(Self::Python)
    }

    /// The codec of this release with that name.
    pub(crate) fn named(py: Python<'_>, name: &str) -> PyResult<Self> {
        match vlstore::codec::by_name(name).map_err(|e| from_error(py, &e))?.name() {
            "raw" => Ok(Self::Raw),
            "md-frame" => Ok(Self::MdFrame),
            "array" => Ok(Self::Array),
            "flat-f32" => Ok(Self::FlatF32),
            other => Err(invalid(py, &format!("codec {other} is not offered here"))),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Raw => "raw",
            Self::MdFrame => "md-frame",
            Self::Array => "array",
            Self::FlatF32 => "flat-f32",
            Self::Python(codec) => &codec.name,
        }
    }

    pub(crate) fn version(&self) -> u32 {
        match self {
            Self::Python(codec) => codec.version,
            _ => 1,
        }
    }

    /// What a store keeps of every record beside its bytes.
    pub(crate) fn rows(&self) -> Option<vlstore::RowMaker> {
        match self {
            Self::MdFrame => vlstore::codec::MdFrameCodec.rows(),
            _ => None,
        }
    }

    /// What `Depot` was given, to give it again.
    pub(crate) fn given(&self, py: Python<'_>) -> Py<PyAny> {
        match self {
            Self::Python(codec) => codec.given.clone_ref(py),
            _ => PyString::new(py, self.name()).into_any().unbind(),
        }
    }

    fn encode(&self, value: &Bound<'_, PyAny>) -> PyResult<(Encoded, u32)> {
        let py = value.py();
        match self {
            Self::Raw => Ok((Encoded::Given(Bytes::get(value, "a value")?), 0)),
            Self::MdFrame => frame(value),
            Self::Array => arrays::encode(value),
            Self::FlatF32 => arrays::encode_flat(value),
            Self::Python(codec) => {
                let bytes = codec.encode.bind(py).call1((value,))?;
                let what = format!("what codec {} encodes to", codec.name);
                let sites = match &codec.sites {
                    Some(sites) => sites.bind(py).call1((value,))?.extract()?,
                    None => 0,
                };
                Ok((Encoded::Given(Bytes::get(&bytes, &what)?), sites))
            }
        }
    }

    fn decode(
        &self,
        py: Python<'_>,
        handle: &Handle,
        record: vlstore::Record,
    ) -> PyResult<Py<PyAny>> {
        match self {
            Self::Raw => Ok(copied_bytes(py, &record)?.into_any().unbind()),
            Self::MdFrame => {
                let find = |digest: &Digest| handle.topology(py, digest).map(Some);
                let frame = MdFrame::over(py, Memory::Stored(record), find)?;
                Ok(Bound::new(py, frame)?.into_any().unbind())
            }
            Self::Array => arrays::decode(py, record),
            Self::FlatF32 => arrays::decode_flat(py, record),
            Self::Python(codec) => {
                let record = Bound::new(py, Record::stored(record))?;
                Ok(codec.decode.bind(py).call1((record,))?.unbind())
            }
        }
    }
}

/// The record of a frame: it is encoded already. Bytes are taken if they hold a frame.
fn frame(value: &Bound<'_, PyAny>) -> PyResult<(Encoded, u32)> {
    let py = value.py();
    if let Ok(frame) = value.cast::<MdFrame>() {
        let frame = frame.get();
        let sites = u32::try_from(frame.nsites()).unwrap_or(u32::MAX);
        let memory = frame.memory().clone();
        let encoded = match frame.refers(py) {
            Some((_, Some(topology))) => Encoded::Refers(memory, topology),
            Some((digest, None)) => {
                Encoded::Unproved(Box::new(Encoded::Frame(memory)), Some(digest))
            }
            None => Encoded::Frame(memory),
        };
        return Ok((encoded, sites));
    }
    if value.is_instance_of::<PyBytes>() || value.is_instance_of::<Record>() {
        let bytes = Bytes::get(value, "a frame")?;
        let sites = crate::frame::sites(py, &bytes)?;
        let refers = MdFrameCodec::topology_of(&bytes);
        return Ok((Encoded::Unproved(Box::new(Encoded::Given(bytes)), refers), sites));
    }
    Err(wrong_type(py, &described("a value of an md-frame depot is an MdFrame", value)?))
}

impl PythonCodec {
    fn new(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = given.py();
        // A class stands for the object that it makes.
        let made = given.cast::<PyType>().ok().map(|class| class.call0()).transpose()?;
        let given = made.as_ref().unwrap_or(given);
        let wanted = "a codec is the name of one, an object with encode and decode, a class that \
                      makes such an object, or a pair of such functions";
        let refuse = || described(wanted, given).map(|why| wrong_type(py, &why));
        let (encode, decode) = if let Ok(pair) = given.cast::<PyTuple>() {
            match pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() {
                Ok(pair) => pair,
                Err(_) => return Err(refuse()?),
            }
        } else {
            match (given.getattr_opt("encode")?, given.getattr_opt("decode")?) {
                (Some(encode), Some(decode)) => (encode, decode),
                _ => return Err(refuse()?),
            }
        };
        if !encode.is_callable() || !decode.is_callable() {
            return Err(refuse()?);
        }
        let name = match given.getattr_opt("name")? {
            Some(name) => name
                .extract::<String>()
                .map_err(|_| wrong_type(py, "the name of a codec is a str"))?,
            None => "custom".into(),
        };
        if vlstore::codec::by_name(&name).is_ok() {
            return Err(invalid(py, &format!("codec: {name:?} is the name of a codec of vlstore")));
        }
        let version = match given.getattr_opt("version")? {
            Some(version) => version.extract::<u32>().map_err(|_| {
                wrong_type(py, "the version of a codec is a whole number, 1 or more")
            })?,
            None => 1,
        };
        let sites = given.getattr_opt("sites")?.map(Bound::unbind);
        let (encode, decode) = (encode.unbind(), decode.unbind());
        Ok(Self { given: given.clone().unbind(), encode, decode, sites, name, version })
    }
}

impl Typed {
    /// The record of a value, and how many sites it has.
    pub(crate) fn encode(&self, value: &Bound<'_, PyAny>) -> PyResult<(Encoded, u32)> {
        match &self.codec {
            Some(codec) => codec.encode(value),
            None => Ok((Encoded::Unread(Bytes::get(value, "a value")?, self.vouched), 0)),
        }
    }

    /// The value of a record.
    pub(crate) fn decode(&self, py: Python<'_>, record: vlstore::Record) -> PyResult<Py<PyAny>> {
        match &self.codec {
            Some(codec) => codec.decode(py, &self.handle, record),
            None => Ok(copied_bytes(py, &record)?.into_any().unbind()),
        }
    }

    /// As [`Typed::decode`]; an error names the record.
    pub(crate) fn decode_as(
        &self,
        py: Python<'_>,
        record: vlstore::Record,
        name: impl FnOnce() -> String,
    ) -> PyResult<Py<PyAny>> {
        self.decode(py, record).map_err(|error| of_record(py, error, &name()))
    }

    /// The values of a batch, in its order; an error names the record.
    pub(crate) fn decode_all(
        &self,
        py: Python<'_>,
        batch: &vlstore::Batch,
        name: impl Fn(usize) -> String,
    ) -> PyResult<Vec<Py<PyAny>>> {
        (0..batch.len())
            .map(|i| match (&self.codec, batch.get(i)) {
                (None, Some(bytes)) => Ok(copied_bytes(py, bytes)?.into_any().unbind()),
                _ => self.decode_as(py, part(py, batch, i)?, || name(i)),
            })
            .collect()
    }

    /// Refuses what only frames have.
    pub(crate) fn of_frames(&self, py: Python<'_>) -> PyResult<()> {
        if matches!(self.codec.as_deref(), Some(RecordCodec::MdFrame)) {
            return Ok(());
        }
        let why = "flat arrays are made of frames: open the store with records=\"md-frame\"";
        Err(wrong_type(py, why))
    }

    /// Refuses a codec that is not the one of the store's records.
    pub(crate) fn check(&self, py: Python<'_>) -> Outcome<()> {
        let Some(codec) = &self.codec else { return Ok(()) };
        let (name, version) = self.handle.read(py, |v| Ok(v.options().record_codec.clone()))?;
        // What was put without a codec says nothing about itself.
        if name == "raw" || (name == codec.name() && version <= codec.version()) {
            return Ok(());
        }
        let why = if name == codec.name() {
            format!(
                "the records were written by version {version} of codec {name}, and this is version {}",
                codec.version()
            )
        } else {
            format!("the records of this store are {name:?}, not {:?}", codec.name())
        };
        Err(raise(py, "CodecError", &why).into())
    }
}

/// The record at position `i` of a batch.
pub(crate) fn part(py: Python<'_>, batch: &vlstore::Batch, i: usize) -> PyResult<vlstore::Record> {
    batch.record(i).ok_or_else(|| invalid(py, "the batch has no such record"))
}
