//! How Python objects become records, and records objects.

use crate::array::buffer::{Bytes, Memory, Record, copied_bytes};
use crate::array::numpy_c_api::Holds as _;
use crate::error::{described, from_error, invalid, wrong_type};
use crate::frame::md_frame::{self, MdFrame};
use crate::store::array_records as arrays;
use crate::store::document_records as documents;
use crate::store::encoded::Encoded;
use crate::store::handle::Handle;
use crate::store::series_records as series;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple, PyType};
use vlstore::Digest;
use vlstore::codec::{AnyCodec as _, MdFrameCodec};

/// How Python objects become records.
pub(crate) enum RecordCodec {
    Raw,
    /// Frames of a trajectory.
    MdFrame,
    /// NumPy arrays of any type and shape.
    Array,
    /// JSON with arrays beside it.
    Document,
    /// float32 values without their shape.
    FlatF32,
    /// Parts of time series.
    Series,
    Python(PythonCodec),
}

/// A codec written in Python.
pub(crate) struct PythonCodec {
    /// What the user gave: an object with the methods, or a pair of functions.
    given: Py<PyAny>,
    encode: Py<PyAny>,
    decode: Py<PyAny>,
    weight: Option<Py<PyAny>>,
    name: String,
    version: u32,
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
            "document" => Ok(Self::Document),
            "flat-f32" => Ok(Self::FlatF32),
            "series" => Ok(Self::Series),
            other => Err(invalid(py, &format!("codec {other} is not offered here"))),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Raw => "raw",
            Self::MdFrame => "md-frame",
            Self::Array => "array",
            Self::Document => "document",
            Self::FlatF32 => "flat-f32",
            Self::Series => "series",
            Self::Python(codec) => &codec.name,
        }
    }

    pub(crate) fn version(&self) -> u32 {
        match self {
            Self::Python(codec) => codec.version,
            Self::MdFrame => MdFrameCodec.version(),
            _ => 1,
        }
    }

    /// The newest version whose records the original program reads.
    pub(crate) fn original_version(&self) -> u32 {
        match self {
            Self::MdFrame => MdFrameCodec.original_version(),
            _ => self.version(),
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

    /// The record of a value, and its weight.
    pub(crate) fn encode(&self, value: &Bound<'_, PyAny>) -> PyResult<(Encoded, u32)> {
        let py = value.py();
        match self {
            Self::Raw => Ok((Encoded::Given(Bytes::get(value, "a value")?), 0)),
            Self::MdFrame => frame(value),
            Self::Array => made(arrays::encode(value)?),
            Self::Document => made(documents::encode(value)?),
            Self::FlatF32 => made(arrays::encode_flat(value)?),
            Self::Series => made(series::encode(value)?),
            Self::Python(codec) => {
                let bytes = codec.encode.bind(py).call1((value,))?;
                let what = format!("what codec {} encodes to", codec.name);
                let weight = match &codec.weight {
                    Some(weight) => weight.bind(py).call1((value,))?.extract()?,
                    None => 0,
                };
                Ok((Encoded::Given(Bytes::get(&bytes, &what)?), weight))
            }
        }
    }

    /// The value of a record.
    pub(crate) fn decode(
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
            Self::Document => documents::decode(py, record),
            Self::FlatF32 => arrays::decode_flat(py, record),
            Self::Series => series::decode(py, record),
            Self::Python(codec) => {
                let record = Bound::new(py, Record::stored(record))?;
                Ok(codec.decode.bind(py).call1((record,))?.unbind())
            }
        }
    }
}

fn made((bytes, weight): (Vec<u8>, u32)) -> PyResult<(Encoded, u32)> {
    Ok((Encoded::Bytes(bytes), weight))
}

/// The record of a frame: it is encoded already. Bytes are taken if they hold a frame.
fn frame(value: &Bound<'_, PyAny>) -> PyResult<(Encoded, u32)> {
    let py = value.py();
    if let Ok(frame) = value.cast::<MdFrame>() {
        let frame = frame.get();
        let weight = u32::try_from(frame.nsites()).unwrap_or(u32::MAX);
        let memory = frame.memory().clone();
        let encoded = match frame.refers(py) {
            Some((_, Some(topology))) => Encoded::Refers(memory, topology),
            Some((digest, None)) => {
                Encoded::Unproved(Box::new(Encoded::Frame(memory)), Some(digest))
            }
            None => Encoded::Frame(memory),
        };
        return Ok((encoded, weight));
    }
    if value.is_instance_of::<PyBytes>() || value.is_instance_of::<Record>() {
        let bytes = Bytes::get(value, "a frame")?;
        let weight = md_frame::sites(py, &bytes)?;
        let refers = MdFrameCodec::topology_of(&bytes);
        return Ok((Encoded::Unproved(Box::new(Encoded::Given(bytes)), refers), weight));
    }
    Err(wrong_type(py, &described("a value of an md-frame depot must be an MdFrame", value)?))
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
                .map_err(|_| wrong_type(py, "the name of a codec must be a str"))?,
            None => "custom".into(),
        };
        if vlstore::codec::by_name(&name).is_ok() {
            return Err(invalid(py, &format!("codec: {name:?} is the name of a codec of vlstore")));
        }
        let version = match given.getattr_opt("version")? {
            Some(version) => version.extract::<u32>().map_err(|_| {
                wrong_type(py, "the version of a codec must be an integer, 1 or more")
            })?,
            None => 1,
        };
        let weight = given.getattr_opt("weight")?.map(Bound::unbind);
        let (encode, decode) = (encode.unbind(), decode.unbind());
        Ok(Self { given: given.clone().unbind(), encode, decode, weight, name, version })
    }
}
