//! Loading for training: shuffled, in batches, divided between ranks and workers, resumable.
//!
//! What comes when is a pure function of a seed and an epoch, in steps that do not know each other:
//! an [`Order`] of groups of neighbours and of the records in a window ([`Permutation`] needs no
//! memory for it; [`Groups`] of whole blocks are of different sizes), a [`Schedule`] of batches by number or under a cap on their cost, a [`Walk`] that
//! gives each rank and worker its part of them from any [`Cursor`] on, and a [`state`] that says in
//! a few numbers where a run is, whatever it continues with. A [`View`] chooses the records, a
//! [`Mixture`] how often the stores come, and a [`Spread`] says how far their order is from a uniform
//! shuffle. A [`Loader`] joins these over the
//! snapshot of a store, or over several as one ([`Sources`]), and its [`Run`] reads ahead in a thread of its own, in bounded memory.
//!
//! ```
//! use vlstore::loader::{Batching, Cursor, Order, Rest, Schedule, Share, Shuffle, Walk};
//!
//! let order = Order { shuffle: Shuffle::Windows, seed: 7, group: 100, window: 1000 };
//! let batching = Batching { records: Some(32), ..Batching::default() };
//! let schedule = Schedule::new(10_000, order, batching, 2, None)?;
//! let share = Share { rank: 1, world: 2, ..Share::default() };
//! let mut walk = Walk::new(schedule, share, Rest::Drop, Cursor::default())?;
//! let step = walk.next().unwrap();
//! assert_eq!((step.records.len(), step.after.batch), (32, 2));
//! # Ok::<(), vlstore::Error>(())
//! ```

mod aligned;
mod counts;
mod cursor;
mod dealing;
mod default_sizes;
mod groups;
#[expect(clippy::module_inception, reason = "the room is named after what it is for")]
mod loader;
mod mixture;
mod options;
mod order;
mod pack;
mod permutation;
mod random;
mod rank_balance;
mod ranks;
mod read_ahead;
mod round;
mod run;
mod schedule;
mod shuffle_quality;
mod sources;
mod state;
mod view;

pub use cursor::Cursor;
pub use groups::Groups;
pub use loader::Loader;
pub use mixture::{Mixture, Weights};
pub use options::{Damaged, LoaderOptions, Mixing};
pub use order::{Order, Sequence, Shuffle};
pub use permutation::Permutation;
pub use random::{Random, key_of};
pub use rank_balance::{Balance, Padded, Rows, padding};
pub use ranks::{Rest, Share, StepBatch, Walk};
pub use run::{Asked, Loaded, Run};
pub use schedule::{Batching, Buckets, Last, Numbers, Schedule};
pub use shuffle_quality::{Spread, window_for, window_for_groups, window_for_mixture};
pub use sources::{Pin, Sources};
pub use state::{resumed, state};
pub use view::View;

#[cfg(test)]
mod tests;
