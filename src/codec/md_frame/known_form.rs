//! Lean frames with the same fields: where these are is known from the first such frame, for any number of sites.

use super::field::Field;
use super::lean::{ARRAYS, FORM, Form, MARK, PBC, PBC_BITS, SCALARS, TYPES, WIDE, first};
use crate::codec::DType;

/// Lean frames with the same fields, of any number of sites: where these are is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownForm {
    form: Form,
    /// The bytes of a record without those of its sites, and of the numbers of one site.
    fixed: usize,
    by_site: usize,
}

/// Where a field of such frames is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormField {
    kind: DType,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// So many bytes at this byte.
    Fixed(usize, usize),
    /// Behind so many bytes and so many for each site, as many for each site.
    BySite(usize, usize, usize),
    /// The same of types that are bytes.
    Bytes(usize, usize),
    /// Bits of the first word.
    Pbc,
}

impl FormField {
    /// Type of its numbers.
    pub(crate) const fn kind(&self) -> DType {
        self.kind
    }

    /// Whether each site has as many.
    pub(crate) const fn is_by_site(&self) -> bool {
        matches!(self.place, Place::BySite(..) | Place::Bytes(..))
    }
}

impl KnownForm {
    /// The form of the frame in `bytes`; `None` if it is not a lean one, or where numbers of records are not
    /// those of the machine.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let form = Form::of(bytes).ok().filter(|_| cfg!(target_endian = "little"))?;
        Some(Self { form, fixed: form.arrays(), by_site: form.by_site() })
    }

    /// How many of the twelve fields such frames have.
    pub(crate) fn fields(&self) -> usize {
        let arrays = ARRAYS.iter().filter(|(_, bit, _)| self.form.has(*bit)).count();
        let scalars = SCALARS.iter().filter(|(_, bit, _)| self.form.has(*bit)).count();
        let types = TYPES.iter().any(|bit| self.form.has(*bit));
        arrays + scalars + usize::from(types) + usize::from(self.form.has(PBC))
    }

    /// Number of sites of the frame in `bytes`; `None` if its form is another one, or it does not have the bytes
    /// that it needs.
    #[inline]
    pub(crate) fn nsites(&self, bytes: &[u8]) -> Option<usize> {
        let other = Form(first(bytes)?);
        if (other.0 ^ self.form.0) & (FORM | MARK) != 0 {
            return None;
        }
        let n = other.nsites();
        let types = match TYPES.map(|bit| self.form.has(bit)) {
            [false, false] => 0,
            [true, _] => n.next_multiple_of(4),
            [false, true] => 4 * n,
        };
        (bytes.len() == self.fixed + self.by_site * n + types).then_some(n)
    }

    /// Where the field is; `None` if such frames do not have it.
    pub(crate) fn field(&self, field: Field) -> Option<FormField> {
        let (form, start) = (self.form, self.fixed);
        if field == Field::Types {
            let place = match TYPES.map(|bit| form.has(bit)) {
                [false, false] => return None,
                [true, _] => Place::Bytes(start, self.by_site),
                [false, true] => Place::BySite(start, self.by_site, 4),
            };
            return Some(FormField { kind: DType::I32, place });
        }
        if field == Field::Pbc {
            return form.has(PBC).then_some(FormField { kind: DType::Bool, place: Place::Pbc });
        }
        if let Some((_, bit, _)) = ARRAYS.iter().find(|(other, _, _)| *other == field) {
            let (at, each) = form.array(*bit)?;
            let kind = if form.has(WIDE) { DType::F64 } else { DType::F32 };
            return Some(FormField { kind, place: Place::BySite(start, at, each) });
        }
        let (_, bit, _) = SCALARS.iter().find(|(other, _, _)| *other == field)?;
        let (at, len) = form.scalar(*bit)?;
        let kind = if field == Field::Step { DType::I64 } else { DType::F64 };
        Some(FormField { kind, place: Place::Fixed(at, len) })
    }

    /// Copies a field of the frame in `bytes`, which has `n` sites and this form, to all of `out`; false if
    /// that is not as long.
    #[inline]
    pub(crate) fn copy(&self, bytes: &[u8], n: usize, field: &FormField, out: &mut [u8]) -> bool {
        let (at, len) = match field.place {
            Place::Fixed(at, len) => (at, len),
            Place::BySite(start, before, each) => (start + before * n, each * n),
            Place::Bytes(start, before) => {
                let at = start + before * n;
                let (places, rest) = out.as_chunks_mut::<4>();
                let Some(types) = bytes.get(at..at + n) else { return false };
                let fits = places.len() == n && rest.is_empty();
                for (place, t) in places.iter_mut().zip(types) {
                    *place = i32::from(*t).to_ne_bytes();
                }
                return fits;
            }
            Place::Pbc => {
                let bits = first(bytes).unwrap_or_default() >> PBC_BITS;
                let Ok(places) = <&mut [u8; 3]>::try_from(out) else { return false };
                *places = [0, 1, 2].map(|i| u8::from(bits >> i & 1 != 0));
                return true;
            }
        };
        match bytes.get(at..at + len) {
            Some(numbers) if numbers.len() == out.len() => {
                out.copy_from_slice(numbers);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lean::tests::{frame, lean};
    use super::*;
    use crate::codec::Real;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_field_that_is_copied_is_that_of_the_view(
            given in 0..1_u32 << 13,
            nsites in (0..9_usize, 0..9_usize),
            wide: bool,
            type_of in prop::sample::select(vec![6, 300]),
        ) {
            let known = lean(&frame(given, nsites.0, wide, type_of)).unwrap();
            let known = KnownForm::of(&known).unwrap();
            let frame = frame(given, nsites.1, wide, type_of);
            let bytes = lean(&frame).unwrap();
            // Without sites all types fit a byte.
            prop_assume!(KnownForm::of(&bytes).unwrap().form.0 & FORM == known.form.0 & FORM);
            prop_assert_eq!(known.nsites(&bytes), Some(nsites.1));
            let cast = |r: &Real| match r {
                Real::F32(v) => bytemuck::cast_slice::<_, u8>(v).to_vec(),
                Real::F64(v) => bytemuck::cast_slice::<_, u8>(v).to_vec(),
            };
            let mut there = 0;
            for field in Field::ALL {
                let numbers = match field {
                    Field::Positions => frame.positions.as_ref().map(cast),
                    Field::Velocities => frame.velocities.as_ref().map(cast),
                    Field::Forces => frame.forces.as_ref().map(cast),
                    Field::Masses => frame.masses.as_ref().map(cast),
                    Field::Charges => frame.charges.as_ref().map(cast),
                    Field::Types => frame.types.as_ref().map(|v| bytemuck::cast_slice(v).to_vec()),
                    Field::Cell => frame.cell.map(|v| bytemuck::bytes_of(&v).to_vec()),
                    Field::Stress => frame.stress.map(|v| bytemuck::bytes_of(&v).to_vec()),
                    Field::Energy => frame.energy.map(|v| v.to_ne_bytes().to_vec()),
                    Field::Time => frame.time.map(|v| v.to_ne_bytes().to_vec()),
                    Field::Step => frame.step.map(|v| v.to_ne_bytes().to_vec()),
                    Field::Pbc => frame.pbc.map(|v| v.map(u8::from).to_vec()),
                };
                let found = known.field(field);
                prop_assert_eq!(found.is_some(), numbers.is_some(), "{}", field.name());
                if let (Some(field), Some(numbers)) = (found, numbers) {
                    there += 1;
                    let mut out = vec![9; numbers.len()];
                    prop_assert!(known.copy(&bytes, nsites.1, &field, &mut out));
                    prop_assert_eq!(out, numbers);
                    let mut longer = vec![9; 4 * nsites.1.max(20) + 100];
                    prop_assert!(!known.copy(&bytes, nsites.1, &field, &mut longer));
                }
            }
            prop_assert_eq!(there, known.fields());
            prop_assert_eq!(known.nsites(&bytes[..bytes.len() - 1]), None);
        }
    }
}
