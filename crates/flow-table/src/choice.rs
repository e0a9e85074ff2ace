//! Columns that a user asks for.

use crate::{Head, Result, error::quoted};

/// Columns to take, and the kinds of those that are not to be guessed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Columns whose density is wanted; all but `given` and constant ones if empty.
    pub columns: Vec<String>,
    /// Columns that are given.
    pub given: Vec<String>,
    /// Kinds by the names of their columns.
    pub kinds: Vec<(String, Wanted)>,
    /// Leaves out rows in which a value is missing.
    pub drop_missing: bool,
}

/// A kind that a user asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted {
    /// Any number.
    Real,
    /// Texts, or numbers that stand for categories.
    Category,
    /// Directions of so much a turn.
    Angle {
        /// One turn.
        period: f64,
    },
    /// Numbers within bounds.
    Bounded {
        /// The lower bound.
        low: f64,
        /// The upper bound.
        high: f64,
    },
}

/// The chosen columns of a table.
pub(crate) struct Chosen {
    /// Places in the table: columns, then given ones.
    pub(crate) places: Vec<usize>,
    /// The number of those before the given ones.
    pub(crate) columns: usize,
    /// The kind that is asked for, of each.
    pub(crate) wanted: Vec<Option<Wanted>>,
}

impl Choice {
    /// The columns in a table.
    ///
    /// # Errors
    /// If the table does not have them, or one is chosen twice.
    pub(crate) fn of(&self, head: &Head) -> Result<Chosen> {
        let names = head.names();
        let mut places = if self.columns.is_empty() {
            let others = (0..names.len()).filter(|&place| !self.given.contains(&names[place]));
            let others = others.collect::<Vec<_>>();
            Self::check_all(head, &others)?;
            others
        } else {
            head.places(self.columns.iter().map(String::as_str))?
        };
        let columns = places.len();
        if columns == 0 {
            return Err(head.fault("has no column left to model".to_owned()));
        }
        places.extend(head.places(self.given.iter().map(String::as_str))?);
        for (index, place) in places.iter().enumerate() {
            if places[..index].contains(place) {
                let name = quoted(&names[*place]);
                return Err(head.fault(format!("is asked for its column {name} twice")));
            }
        }
        for (name, _) in &self.kinds {
            let place = head.places([name.as_str()])?[0];
            if !places.contains(&place) {
                let name = quoted(name);
                return Err(head.fault(format!(
                    "has a kind for its column {name}, which is not among those asked for"
                )));
            }
        }
        let wanted = |place: &usize| {
            let mut kinds = self.kinds.iter();
            let found = kinds.find(|(name, _)| *name == names[*place]);
            found.map(|(_, wanted)| *wanted)
        };
        Ok(Chosen {
            wanted: places.iter().map(wanted).collect(),
            places,
            columns,
        })
    }

    /// Checks that each of the columns that nobody named has a name of its own.
    fn check_all(head: &Head, places: &[usize]) -> Result<()> {
        let names = head.names();
        for &place in places {
            let name = &names[place];
            if name.is_empty() {
                return Err(head.fault(format!(
                    "has no name for its column {}, as an index has none; choose others with `--columns`",
                    place + 1
                )));
            }
            head.places([name.as_str()])?;
        }
        Ok(())
    }
}
