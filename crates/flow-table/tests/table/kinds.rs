//! Kinds of columns, and the numbers that stand for cells.

use std::f64::consts::TAU;

use flow_table::{Choice, Kind, Series, Table, Wanted};

use crate::{File, numbers};

const PETS: &str = "\
name,weight,legs,heading,share,note
cat,4.5,4,0.5,0,same
dog,11,4,3,0.25,same
bird, 0.25,2,6.2,1,same
cat,3.9,4,1,0.5,same
";

fn choice(kinds: &[(&str, Wanted)]) -> Choice {
    Choice {
        kinds: kinds
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), *kind))
            .collect(),
        ..Choice::default()
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn kinds_are_guessed_or_asked_for() {
    let file = File::csv(PETS);
    let asked = [
        ("heading", Wanted::Angle { period: TAU }),
        (
            "share",
            Wanted::Bounded {
                low: 0.0,
                high: 1.0,
            },
        ),
    ];
    let survey = file.survey(&choice(&asked));
    let kinds = survey
        .schema
        .columns
        .iter()
        .map(|column| column.kind.clone());
    let levels = names(&["bird", "cat", "dog"]);
    let expected = [
        Kind::Category { levels },
        Kind::Positive,
        Kind::Integer,
        Kind::Angle {
            low: 0.0,
            period: TAU,
        },
        Kind::Bounded {
            low: 0.0,
            high: 1.0,
        },
    ];
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
    assert_eq!((survey.rows, survey.dropped), (4, 0));
    assert_eq!(survey.constant, ["note"]);
    let weight = &survey.schema.columns[1];
    assert_eq!((weight.low, weight.high, weight.mean), (0.25, 11.0, 4.9125));
    assert!((weight.std - 3.872_721_1).abs() < 1e-6, "{}", weight.std);
    let real = file.survey(&choice(&[
        ("weight", Wanted::Real),
        ("legs", Wanted::Category),
    ]));
    let kind = |column: usize| real.schema.columns[column].kind.clone();
    assert_eq!(kind(1), Kind::Real);
    assert_eq!(
        kind(2),
        Kind::Category {
            levels: names(&["2", "4"])
        }
    );
    assert_eq!(kind(3), Kind::Positive);
}

#[test]
fn a_schema_survives_a_file() {
    let survey = File::csv(PETS).survey(&Choice {
        given: names(&["name"]),
        ..Choice::default()
    });
    let json = serde_json::to_string(&survey.schema).unwrap();
    assert_eq!(survey.schema, serde_json::from_str(&json).unwrap());
}

#[test]
fn rows_come_in_chunks_and_in_the_order_of_the_columns() {
    let file = File::csv(PETS);
    let columns = names(&["legs", "name", "weight"]);
    let survey = file.survey(&Choice {
        columns,
        ..Choice::default()
    });
    let chunks = numbers(&file.table(), &survey, false);
    let rows = chunks.iter().map(|chunk| chunk.rows.clone());
    assert_eq!(rows.collect::<Vec<_>>(), [vec![1, 2, 3], vec![4]]);
    let values = chunks.iter().flat_map(|chunk| chunk.values.clone());
    let expected = [
        [4.0, 1.0, 4.5],
        [4.0, 2.0, 11.0],
        [2.0, 0.0, 0.25],
        [4.0, 1.0, 3.9],
    ];
    assert_eq!(values.collect::<Vec<_>>(), expected.concat());
}

#[test]
fn given_columns_become_a_context() {
    let file = File::csv("y,a,b,c,d\n1.5,x,-1,0,1\n2.5,y,2,90,2.5\n3.5,x,3.5,180,4\n");
    let choice = Choice {
        given: names(&["a", "b", "c", "d"]),
        ..choice(&[("c", Wanted::Angle { period: 360.0 })])
    };
    let schema = file.survey(&choice).schema;
    assert_eq!(schema.context_size(), 6);
    let survey = file.survey(&choice);
    let chunk = &numbers(&file.table(), &survey, false)[0];
    let row = |row: usize| &chunk.given[row * 6..(row + 1) * 6];
    assert_eq!(row(0), [1.0, 0.0, -1.0, 0.0, 1.0, 0.0]);
    assert_eq!(row(1)[..4], [0.0, 1.0, 2.0, 1.0]);
    assert!(row(1)[4].abs() < 1e-12);
    assert_eq!(row(1)[5], 2.5_f64.ln());
    assert_eq!(schema.given[0].parse("y").unwrap(), 1.0);
    let unseen = schema.given[0].parse("z").unwrap_err();
    assert_eq!(
        unseen,
        "`z` is not among the values that the model was fitted to: `x`, `y`"
    );
}

#[test]
fn rows_with_missing_values_can_be_left_out() {
    let file = File::csv("a;b\n1.5;NA\n;2\n2.5;3.5\nNaN;1\n-3;null\n4.5;4\n");
    let choice = Choice {
        drop_missing: true,
        ..Choice::default()
    };
    let survey = file.survey(&choice);
    assert_eq!((survey.rows, survey.dropped), (2, 4));
    let chunks = numbers(&file.table(), &survey, true);
    assert_eq!(chunks[0].rows, [3, 6]);
    assert_eq!(chunks[0].values, [2.5, 3.5, 4.5, 4.0]);
}

#[test]
fn text_files_of_other_programs_are_read() {
    let rows = "1.5SEP-2.5\n2e1SEP3\n";
    for (separator, start, end) in [
        (",", "", ""),
        (";", "\u{feff}", "\r\n\r\n"),
        ("\t", "", "\n"),
    ] {
        let names = format!("{start}\"a,b;\"SEPb\n");
        let text = format!("{names}{rows}{end}").replace("SEP", separator);
        let file = File::csv(&text);
        let survey = file.survey(&Choice::default());
        assert_eq!(survey.schema.columns[0].name, "a,b;");
        assert_eq!(
            numbers(&file.table(), &survey, false)[0].values,
            [1.5, -2.5, 20.0, 3.0]
        );
    }
}

#[test]
fn a_pipe_is_copied_to_be_read_twice() {
    let file = File::csv(PETS);
    let table = file.table().repeatable().unwrap();
    assert!(table.name().ends_with("x.csv`"));
    let table = Table::at("-".as_ref());
    assert_eq!(table.name(), "standard input");
}

#[test]
fn samples_stay_within_the_columns() {
    let file = File::csv(PETS);
    let asked = [
        ("heading", Wanted::Angle { period: TAU }),
        (
            "share",
            Wanted::Bounded {
                low: 0.0,
                high: 1.0,
            },
        ),
    ];
    let columns = file.survey(&choice(&asked)).schema.columns;
    let decode = |column: usize| Series::decode(&columns[column], [-0.1, 2.9, 7.5]);
    assert_eq!(decode(0), Series::Text(names(&["bird", "dog", "dog"])));
    assert_eq!(decode(1), Series::Float(vec![f32::MIN_POSITIVE, 2.9, 7.5]));
    assert_eq!(decode(2), Series::Integer(vec![2, 2, 4]));
    let Series::Float(angles) = decode(3) else {
        panic!()
    };
    assert!(
        angles.iter().all(|angle| (0.0..6.284).contains(angle)),
        "{angles:?}"
    );
    assert_eq!(decode(4), Series::Float(vec![0.0, 1.0, 1.0]));
}
