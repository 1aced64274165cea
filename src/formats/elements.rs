//! Symbols of the chemical elements.

/// By atomic number; 0 is `X`, an atom of no element.
const SYMBOLS: [&str; 119] = [
    "X", "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S",
    "Cl", "Ar", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge",
    "As", "Se", "Br", "Kr", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd",
    "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd",
    "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg",
    "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm",
    "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn",
    "Nh", "Fl", "Mc", "Lv", "Ts", "Og",
];

/// The symbol of an atomic number.
pub(super) fn symbol(number: i32) -> Option<&'static str> {
    SYMBOLS.get(usize::try_from(number).ok()?).copied()
}

/// The atomic number of a symbol, written as chemists do.
pub(super) fn number(symbol: &[u8]) -> Option<i32> {
    let at = SYMBOLS.iter().position(|s| s.as_bytes() == symbol)?;
    i32::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_symbols_belong_together() {
        for (name, n) in [("X", 0), ("H", 1), ("Fe", 26), ("I", 53), ("Hg", 80), ("Og", 118)] {
            assert_eq!((symbol(n), number(name.as_bytes())), (Some(name), Some(n)));
        }
        assert_eq!((symbol(119), symbol(-1), number(b"FE"), number(b"")), (None, None, None, None));
    }
}
