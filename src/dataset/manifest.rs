//! The manifest: what a data set consists of, as a file of JSON.
//!
//! `docs/format.md` specifies it. Everything in it is checked when it is read: a checksum covers the
//! whole text, and a name that leads out of the folder is refused.

use super::key_ranges::KeyRanges;
use crate::column::Column;
use crate::error::{Error, Result};
use crate::limits::{MANIFEST_MAX, MEMBERS_MAX};
use crate::store::Layout;
use crate::wire::{Digest, checksum, memory};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::fmt::Write as _;

/// Name of the manifest in its folder.
pub const MANIFEST: &str = "vlstore-dataset.json";
/// The newest version of the manifest, the one that is written.
pub const VERSION: u64 = 1;
/// What the manifest calls itself.
const FORMAT: &str = "vlstore data set";
/// How the last line but one begins, which has the checksum of all before it.
const LAST: &str = " \"checksum\": \"";

/// What a data set consists of.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// How often it was published: 1 for the first time. No two contents of a data set have the same.
    pub publication: u64,
    /// How the first member was made, with the codec of all records and the columns of all members.
    pub layout: Layout,
    /// The attributes that all members have alike, a JSON object; the units of the records are among them.
    pub attributes: Value,
    /// The digests of shared records, such as topologies, that members name by their place in this list.
    pub shared: Vec<Digest>,
    /// The members, in the order of their records.
    pub members: Vec<Member>,
}

/// One store of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path in the folder, with `/` between names.
    pub name: Box<str>,
    /// Number of records.
    pub records: u64,
    /// The sum of what the codec counted in each record: of frames the number of sites.
    pub weight: u64,
    /// Bytes of the records, decoded.
    pub record_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// The id of the file, as [`Snapshot::file_id`](crate::Snapshot::file_id) has it.
    pub file: Box<str>,
    /// The commit that was published.
    pub commit: u64,
    /// Records that were deleted or replaced up to then.
    pub deleted: u64,
    /// What that commit is known by, as [`Snapshot::state_sum`](crate::Snapshot::state_sum) has it; `None` if the
    /// manifest does not say.
    pub state: Option<u64>,
    /// The SHA-256 of the file, 64 hexadecimal digits, as `sha256sum` shows it.
    pub sha256: Box<str>,
    /// Which keys the records can have.
    pub keys: KeyRanges,
    /// Its shared records, as places in [`Manifest::shared`]; `None` if there are too many to list.
    pub shared: Option<Vec<usize>>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            publication: 0,
            layout: Layout::default(),
            attributes: json!({}),
            shared: Vec::new(),
            members: Vec::new(),
        }
    }
}

impl Manifest {
    /// Number of records of all members.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.members.iter().map(|m| m.records).fold(0, u64::saturating_add)
    }

    /// The sum of the weights of all records.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.members.iter().map(|m| m.weight).fold(0, u64::saturating_add)
    }

    /// Bytes of the records of all members, decoded.
    #[must_use]
    pub fn record_bytes(&self) -> u64 {
        self.members.iter().map(|m| m.record_bytes).fold(0, u64::saturating_add)
    }

    /// Bytes of the files of all members.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.members.iter().map(|m| m.file_bytes).fold(0, u64::saturating_add)
    }

    /// The text of the manifest, with its checksum.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut layout = self.layout.to_config();
        if let Some(layout) = layout.as_object_mut() {
            layout.remove("writer");
        }
        let shared: Vec<String> = self.shared.iter().map(ToString::to_string).collect();
        let mut out = format!(
            "{{\n \"format\": {},\n \"version\": {VERSION},\n \"publication\": {},\n \"records\": {},\n \
             \"layout\": {layout},\n \"attributes\": {},\n \"shared\": {},\n \"members\": [",
            json!(FORMAT),
            self.publication,
            self.records(),
            self.attributes,
            json!(shared),
        );
        for (i, member) in self.members.iter().enumerate() {
            // Writing to a string does not fail.
            let _ = write!(out, "{}\n  {}", if i == 0 { "" } else { "," }, member.to_json());
        }
        out.push_str(if self.members.is_empty() { "],\n" } else { "\n ],\n" });
        let sum = checksum(out.as_bytes());
        let _ = writeln!(out, "{LAST}{sum:016x}\"\n}}");
        out
    }

    /// Reads the text of a manifest.
    ///
    /// # Errors
    /// [`Error::NotAStore`] for another text, [`Error::Unsupported`] for one of a newer version,
    /// [`Error::DataSet`] for one that was changed, [`Error::Invalid`] for a member outside the folder,
    /// [`Error::Limit`] for one that is too long.
    pub fn from_text(text: &[u8]) -> Result<Self> {
        if text.len() as u64 > MANIFEST_MAX {
            let asked = text.len() as u64;
            return Err(Error::Limit { what: "manifest", asked, max: MANIFEST_MAX });
        }
        let why = "this is not the manifest of a data set, or nothing is left of it; delete it, and \
                   `vlstore publish FOLDER` makes one of the stores in the folder";
        let json: Value = serde_json::from_slice(text).map_err(|_| match ours(text) {
            true => damaged("is not complete JSON"),
            false => Error::NotAStore { why },
        })?;
        if json.get("format").and_then(Value::as_str) != Some(FORMAT) {
            return Err(Error::NotAStore { why });
        }
        let version = json.get("version").and_then(Value::as_u64).unwrap_or(0);
        if version > VERSION {
            return Err(Error::Unsupported {
                what: "version of the data set",
                found: version,
                newest: VERSION,
            });
        }
        check(text)?;
        Self::from_json(&json).ok_or_else(|| damaged("has a member that is not as it should be"))?
    }

    fn from_json(json: &Value) -> Option<Result<Self>> {
        let layout = Layout::from_config(json.get("layout")?).ok()?;
        let digests = json.get("shared")?.as_array()?.iter();
        let shared = digests.map(|d| Digest::from_hex(d.as_str()?)).collect::<Option<Vec<_>>>()?;
        let listed = json.get("members")?.as_array()?;
        if listed.len() as u64 > MEMBERS_MAX {
            let asked = listed.len() as u64;
            let what = "members of a data set";
            return Some(Err(Error::Limit { what, asked, max: MEMBERS_MAX }));
        }
        let mut members = Vec::new();
        if let Err(e) = memory::reserve(&mut members, listed.len()) {
            return Some(Err(e));
        }
        let (mut names, mut records) = (HashSet::new(), 0_u64);
        for member in listed {
            let member = Member::from_json(member, shared.len())?;
            if let Err(e) = is_member_name(&member.name) {
                return Some(Err(e));
            }
            names.insert(member.name.clone()).then_some(())?;
            records = records.checked_add(member.records)?;
            members.push(member);
        }
        (json.get("records")?.as_u64()? == records).then_some(())?;
        Some(Ok(Self {
            publication: json.get("publication")?.as_u64()?,
            layout,
            attributes: json.get("attributes")?.clone(),
            shared,
            members,
        }))
    }

    /// Takes in a column of one more member: what not all have in the same way is left to the codec.
    pub(super) fn keep_columns(&mut self, others: &[Column]) {
        let kept = self.layout.columns().iter().filter(|own| others.contains(own));
        self.layout.columns = Some(kept.cloned().collect());
    }
}

/// Whether a text that is not JSON began as a manifest.
fn ours(text: &[u8]) -> bool {
    let start = format!("{{\n \"format\": {}", json!(FORMAT));
    text.starts_with(start.as_bytes())
}

fn damaged(why: &'static str) -> Error {
    Error::data_set(
        MANIFEST,
        format!(
            "it {why}: it was changed or cut since it was published; delete it, and `vlstore publish \
             FOLDER` makes a new one of the stores in the folder"
        ),
    )
}

/// Compares the text with the checksum in its last line but one.
fn check(text: &[u8]) -> Result<()> {
    let find = || {
        let at = text.windows(LAST.len()).rposition(|part| part == LAST.as_bytes())?;
        let digits = text.get(at + LAST.len()..at + LAST.len() + 16)?;
        let sum = u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        (text.get(at + LAST.len() + 16..)? == b"\"\n}\n").then_some((text.get(..at)?, sum))
    };
    match find() {
        Some((before, sum)) if checksum(before) == sum => Ok(()),
        _ => Err(damaged("does not have the checksum that it states")),
    }
}

impl Member {
    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "records": self.records,
            "weight": self.weight,
            "record_bytes": self.record_bytes,
            "file_bytes": self.file_bytes,
            "file": self.file,
            "commit": self.commit,
            "deleted": self.deleted,
            "state": self.state.map(|sum| format!("{sum:016x}")),
            "sha256": self.sha256,
            "keys": self.keys.to_json(),
            "shared": self.shared,
        })
    }

    fn from_json(json: &Value, shared: usize) -> Option<Self> {
        let json: &Map<String, Value> = json.as_object()?;
        let text = |name: &str| Some(Box::<str>::from(json.get(name)?.as_str()?));
        let number = |name: &str| json.get(name)?.as_u64();
        let place = |at: &Value| usize::try_from(at.as_u64()?).ok().filter(|at| *at < shared);
        let own = match json.get("shared")? {
            Value::Null => None,
            list => Some(list.as_array()?.iter().map(place).collect::<Option<Vec<_>>>()?),
        };
        let hex =
            |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_hexdigit());
        // Manifests without it are older, and those with null say that it is not known.
        let state = match json.get("state") {
            None | Some(Value::Null) => None,
            Some(sum) => {
                Some(u64::from_str_radix(sum.as_str().filter(|sum| hex(sum, 16))?, 16).ok()?)
            }
        };
        Some(Self {
            name: text("name")?,
            records: number("records")?,
            weight: number("weight")?,
            record_bytes: number("record_bytes")?,
            file_bytes: number("file_bytes")?,
            file: text("file").filter(|file| hex(file, 32))?,
            commit: number("commit")?,
            deleted: number("deleted")?,
            state,
            sha256: text("sha256").filter(|digest| hex(digest, 64))?,
            keys: KeyRanges::from_json(json.get("keys")?)?,
            shared: own,
        })
    }
}

/// Whether a store under this name can be a member: a path inside the folder, of names with `/` between
/// them, none of which is empty, `.` or `..`.
///
/// # Errors
/// [`Error::Invalid`] for another name.
pub fn is_member_name(name: &str) -> Result<()> {
    let part = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part.contains(['\\', '\0'])
            && !(cfg!(windows) && part.contains(':'))
    };
    if !name.is_empty() && name.len() <= 4096 && name.split('/').all(part) && name != MANIFEST {
        return Ok(());
    }
    let why = format!(
        "{name:?} is not a path inside the folder: a member lies in the folder of its data set"
    );
    Err(Error::invalid("name of a member", why))
}
