//! Published data sets as collections.

use crate::{Dataset, Malformed, Result, Split};

use super::{Class, Collection, Container, Entry, Part, Pictures, Stored, arrays::picture};

/// The splits of a data set.
struct Splits([Dataset; 2]);

impl Collection {
    /// The training and the test images of a data set.
    pub fn of_datasets(splits: [Dataset; 2]) -> Self {
        let parts = [(Split::Train, Part::Train), (Split::Test, Part::Test)];
        let mut entries = Vec::new();
        for (dataset, (split, part)) in splits.iter().zip(parts) {
            let entry = |(place, label)| Entry {
                name: format!("{split}/{place}"),
                class: (dataset.classes() > 0).then_some(Class::Number(label)),
                part: Some(part),
            };
            entries.extend(dataset.labels().into_iter().enumerate().map(entry));
        }
        let class_names = splits[0].class_names().to_vec();
        Self {
            entries,
            class_names: (!class_names.is_empty()).then_some(class_names),
            container: Box::new(Splits(splits)),
        }
    }
}

impl Container for Splits {
    fn pictures(&self) -> Result<Pictures<'_>> {
        let of = |dataset: &'_ Dataset| {
            let dataset = dataset.clone();
            (0..dataset.len()).map(move |place| stored(&dataset, place))
        };
        Ok(Box::new(self.0.iter().flat_map(of)))
    }
}

fn stored(dataset: &Dataset, place: usize) -> Result<Stored, Malformed> {
    let batch = dataset.batch(&[place]).map_err(Malformed::new)?;
    let pixels = batch
        .images
        .flatten_all()
        .and_then(|pixels| pixels.to_vec1());
    picture(dataset.shape(), pixels.map_err(Malformed::new)?).map(Stored::Pixels)
}
