//! Extra properties as Python gives them: dicts of numbers, texts, arrays and lists of texts.

use crate::array::numpy::{Input, Want};
use crate::convert::text::text;
use crate::error::{described, invalid, wrong_type};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PySet, PyString};
use vlstore::codec::{DType, PropertyView, TextView, ValuesView};
use vlstore::limits;

/// How many sites there are, and the field that said so.
#[derive(Default)]
pub(crate) struct Sites(Option<(usize, String)>);

impl Sites {
    /// Takes the number of sites from the first field that has one, and holds the others to it.
    pub(crate) fn hold(&mut self, py: Python<'_>, sites: usize, what: &str) -> PyResult<()> {
        match &self.0 {
            None => self.0 = Some((sites, what.to_owned())),
            Some((known, _)) if *known == sites => {}
            Some((known, first)) => {
                let why = format!("{what} has {sites} sites, but {first} has {known}");
                return Err(invalid(py, &why));
            }
        }
        Ok(())
    }

    pub(crate) fn known(&self) -> Option<usize> {
        self.0.as_ref().map(|(sites, _)| *sites)
    }
}

/// Extra properties of the atoms, or of the frame.
#[derive(Default)]
pub(crate) struct Properties(Vec<Property>);

struct Property {
    name: String,
    shape: Vec<u32>,
    values: Held,
}

enum Held {
    Numbers(Input),
    Texts(Vec<String>),
}

impl Properties {
    /// Properties with an entry for each site, as many as `sites` has.
    pub(crate) fn of_atoms(given: Option<&Bound<'_, PyAny>>, sites: &mut Sites) -> PyResult<Self> {
        let Some(given) = given else { return Ok(Self::default()) };
        let mut all = Vec::new();
        for (name, value) in dict(given, "atom_properties")?.iter() {
            let name = text(&name, "the name of a property")?;
            let what = format!("atom property {name:?}");
            let property = property(&value, name, &what)?;
            let n = match &property.values {
                Held::Texts(_) => property.shape.first().map_or(1, |n| *n as usize),
                Held::Numbers(input) => *input.shape.first().ok_or_else(|| {
                    invalid(
                        value.py(),
                        &format!("{what} is one number, but there must be one per site"),
                    )
                })?,
            };
            sites.hold(value.py(), n, &what)?;
            let shape = property.shape.get(1..).unwrap_or_default().to_vec();
            all.push(Property { shape, ..property });
        }
        Ok(Self(all))
    }

    /// Properties of the frame as a whole.
    pub(crate) fn of_frame(given: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(given) = given else { return Ok(Self::default()) };
        let mut all = Vec::new();
        for (name, value) in dict(given, "frame_properties")?.iter() {
            let name = text(&name, "the name of a property")?;
            let what = format!("frame property {name:?}");
            all.push(property(&value, name, &what)?);
        }
        Ok(Self(all))
    }

    pub(crate) fn texts(&self) -> Vec<Vec<&str>> {
        self.0.iter().map(Property::texts).collect()
    }

    pub(crate) fn views<'a>(&'a self, texts: &'a [Vec<&'a str>]) -> Vec<PropertyView<'a>> {
        self.0.iter().zip(texts).map(|(property, texts)| property.view(texts)).collect()
    }
}

impl Property {
    fn texts(&self) -> Vec<&str> {
        match &self.values {
            Held::Texts(texts) => texts.iter().map(String::as_str).collect(),
            Held::Numbers(_) => Vec::new(),
        }
    }

    fn view<'a>(&'a self, texts: &'a [&'a str]) -> PropertyView<'a> {
        let values = match &self.values {
            Held::Texts(_) => ValuesView::Str(TextView::new(texts)),
            Held::Numbers(input) => match input.kind {
                DType::I32 => ValuesView::I32(input.values()),
                DType::I64 => ValuesView::I64(input.values()),
                DType::Bool => ValuesView::Bool(input.truths()),
                _ => ValuesView::Real(input.reals()),
            },
        };
        PropertyView { name: &self.name, shape: &self.shape, values }
    }
}

fn dict<'a, 'py>(any: &'a Bound<'py, PyAny>, what: &str) -> PyResult<&'a Bound<'py, PyDict>> {
    match any.cast::<PyDict>() {
        Ok(dict) => Ok(dict),
        Err(_) => Err(wrong_type(any.py(), &described(&format!("{what} must be a dict"), any)?)),
    }
}

fn property(any: &Bound<'_, PyAny>, name: String, what: &str) -> PyResult<Property> {
    // Texts could be gone through in these, too: keys without their values, in no order.
    if any.is_instance_of::<PyDict>()
        || any.is_instance_of::<PySet>()
        || any.is_instance_of::<PyFrozenSet>()
    {
        let wanted = format!("{what} must be a number, a string, an array or a list of strings");
        return Err(wrong_type(any.py(), &described(&wanted, any)?));
    }
    if any.is_instance_of::<PyString>() {
        let values = Held::Texts(vec![text(any, what)?]);
        return Ok(Property { name, shape: Vec::new(), values });
    }
    let mut texts = Vec::new();
    if let Some(axes) = gather(any, 0, &mut texts) {
        let shape = axes.iter().map(|n| length(any.py(), *n, what)).collect::<PyResult<_>>()?;
        return Ok(Property { name, shape, values: Held::Texts(texts) });
    }
    let input = Input::get(any, what, Want::Any)?;
    let shape =
        input.shape.iter().map(|n| length(any.py(), *n, what)).collect::<PyResult<Vec<_>>>()?;
    Ok(Property { name, shape, values: Held::Numbers(input) })
}

/// Gathers texts from lists, nested to any depth; their shape, if it is such and none is empty.
fn gather(any: &Bound<'_, PyAny>, depth: usize, texts: &mut Vec<String>) -> Option<Vec<usize>> {
    if let Ok(text) = any.cast::<PyString>() {
        texts.push(text.to_string());
        return Some(Vec::new());
    }
    // Keys without their values, in no order.
    let keys = any.is_instance_of::<PyDict>()
        || any.is_instance_of::<PySet>()
        || any.is_instance_of::<PyFrozenSet>();
    if keys || depth >= limits::ARRAY_AXES {
        return None;
    }
    let mut inner = None;
    let mut n = 0_usize;
    for item in any.try_iter().ok()? {
        let shape = gather(&item.ok()?, depth.saturating_add(1), texts)?;
        if *inner.get_or_insert_with(|| shape.clone()) != shape {
            return None;
        }
        n = n.saturating_add(1);
    }
    Some(std::iter::once(n).chain(inner?).collect())
}

fn length(py: Python<'_>, n: usize, what: &str) -> PyResult<u32> {
    u32::try_from(n).map_err(|_| invalid(py, &format!("{what} has an axis of {n} entries")))
}
