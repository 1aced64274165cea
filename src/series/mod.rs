//! Time series by id: stored, read, appended to, and computed with where they are larger than memory.
//!
//! A thin layer over one store of the codec `series`: [`SeriesStore`] is a storage manager on a file or
//! in memory. The start of a series is the record under its id; what is appended lies in records of its
//! own, under keys that no id can have. A length is read from the index: the map of ids and lengths and
//! the data are one commit, so that they agree after a kill at any moment.

mod cache;
mod check;
mod collection_read;
mod collection_write;
mod csv;
mod csv_write;
mod folder;
mod ids;
mod known_series;
mod layer;
pub mod lazy;
mod manager;
mod npy;
mod options;
mod points;
mod series_read;
mod series_view;
mod series_write;
mod stored;
mod undone_batch;

pub use check::Defect;
pub use csv::{CsvOptions, Table, read_csv};
pub use csv_write::write_csv;
pub use folder::{FolderImport, MAP, Unlisted, import_folder};
pub use ids::{ID_MAX, check_id, new_id};
pub use layer::{LAYER, SERIES};
pub use manager::SeriesStore;
pub use options::SeriesOptions;
pub use points::{Points, TimeRule};
pub use series_view::Series;
pub use series_write::block_of;
pub use stored::{SeriesReader, SeriesValues, Stored};
