//! Tables damaged at random: an error of one line or numbers, no panic. `cargo xtask fuzz table
//! parquet` does the same at length.

use std::{fs, sync::LazyLock};

use flow_table::{Choice, Format, Numbers, Series, Survey, Table, Writer};
use flow_testing::damage::{check_text, damage, damaged};
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempdir().unwrap());

/// Small files of the same table, by name.
static FILES: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(|| {
    let columns = [
        (
            "number",
            Series::Float((0..40).map(|i| (i as f32).sin()).collect()),
        ),
        ("count", Series::Integer((0..40).collect())),
        (
            "text",
            Series::Text((0..40).map(|i| format!("t{}", i % 3)).collect()),
        ),
    ];
    let file = |format| {
        let mut writer = Writer::new(Vec::new(), format, &columns).unwrap();
        let columns = columns.iter().map(|(_, series)| series.clone());
        writer.write(&columns.collect::<Vec<_>>()).unwrap();
        writer.finish().unwrap()
    };
    vec![
        ("x.csv", file(Format::Csv)),
        ("x.parquet", file(Format::Parquet)),
    ]
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn files(which in 0..2_usize, damage in damage()) {
        let (name, content) = &FILES[which];
        let path = FOLDER.path().join(name);
        fs::write(&path, damaged(content, &damage)).unwrap();
        let choice = Choice { drop_missing: true, ..Choice::default() };
        let table = Table::at(&path);
        let survey = match Survey::of(&table, &choice) {
            Ok(survey) => survey,
            Err(error) => {
                check_text(&error, name);
                return Ok(());
            }
        };
        let mut numbers = Numbers::of(&table, &survey.schema, true).unwrap();
        let mut rows = 0;
        while let Some(chunk) = numbers.next_chunk(7).unwrap() {
            rows += chunk.len() as u64;
            prop_assert!(chunk.values.iter().all(|value| value.is_finite()));
        }
        prop_assert_eq!((rows, numbers.dropped()), (survey.rows, survey.dropped));
    }
}
