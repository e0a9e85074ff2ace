//! Parquet files of PyArrow, in `flow-data/tests/data/parquet`, where the script is.

use flow_table::{Choice, Kind, Survey, Table};

use crate::numbers;

fn fixture(name: &str) -> Table {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../flow-data/tests/data/parquet"
    );
    Table::at(format!("{folder}/{name}.parquet").as_ref())
}

fn choice(columns: &[&str]) -> Choice {
    Choice {
        columns: columns.iter().map(|&name| name.to_owned()).collect(),
        drop_missing: true,
        ..Choice::default()
    }
}

#[test]
fn columns_of_every_type_of_number() {
    for name in ["table", "table-v2"] {
        let table = fixture(name);
        let survey =
            Survey::of(&table, &choice(&["double", "float", "flag", "int", "text"])).unwrap();
        assert_eq!((survey.rows, survey.dropped), (4, 2));
        let kinds = survey
            .schema
            .columns
            .iter()
            .map(|column| column.kind.name());
        let expected = ["real", "positive", "integer", "integer", "category"];
        assert_eq!(kinds.collect::<Vec<_>>(), expected);
        let levels = ["x", "y", "z"].map(str::to_owned).to_vec();
        assert_eq!(survey.schema.columns[4].kind, Kind::Category { levels });
        let chunks = numbers(&table, &survey, true);
        assert_eq!(chunks[0].rows, [1, 2, 3]);
        let values = chunks.iter().flat_map(|chunk| chunk.values.clone());
        let expected = [
            [1.5, 0.5, 1.0, 1.0, 0.0],
            [-2.5, 1.5, 0.0, 2.0, 1.0],
            [3.25, 2.5, 1.0, 3.0, 0.0],
            [4.0, 3.5, 1.0, 4.0, 2.0],
        ];
        assert_eq!(values.collect::<Vec<_>>(), expected.concat());
    }
}

#[test]
fn columns_that_hold_no_numbers() {
    let table = fixture("table");
    let refused = |column| {
        Survey::of(&table, &choice(&[column]))
            .unwrap_err()
            .to_string()
    };
    for column in ["list", "struct", "decimal"] {
        let error = refused(column);
        let expected = format!(
            "parquet`, column `{column}`: it holds lists, structs or a type other than numbers, \
             texts and booleans; name other columns with `--columns`"
        );
        assert!(error.ends_with(&expected), "{error}");
    }
    let missing = Survey::of(
        &table,
        &Choice {
            drop_missing: false,
            ..choice(&["double"])
        },
    );
    let error = missing.unwrap_err().to_string();
    let expected = "row 5, column `double`: a value is missing, in 1 of 6 rows; `--drop-missing` leaves these out";
    assert!(error.ends_with(expected), "{error}");
}
