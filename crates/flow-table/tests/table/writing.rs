//! Tables that are written, and read again.

use flow_table::{Choice, Format, Kind, Series, Writer};

use crate::{File, numbers};

fn columns() -> [(&'static str, Series); 3] {
    let texts = ["plain", "with, comma", "with \"quotes\""].map(str::to_owned);
    [
        ("a number", Series::Float(vec![0.1, -1e-30, 3e30])),
        ("count", Series::Integer(vec![-1, 0, 1 << 15])),
        ("text", Series::Text(texts.to_vec())),
    ]
}

/// Two chunks of the same rows.
fn written(format: Format) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), format, &columns()).unwrap();
    for _ in 0..2 {
        writer.write(&columns().map(|(_, series)| series)).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn text_has_as_many_digits_as_it_needs() {
    let rows = "0.1,-1,plain\n-1e-30,0,\"with, comma\"\n3e30,32768,\"with \"\"quotes\"\"\"\n";
    let text = String::from_utf8(written(Format::Csv)).unwrap();
    assert_eq!(text, format!("a number,count,text\n{rows}{rows}"));
}

#[test]
fn both_formats_come_back() {
    for (name, format) in [("x.csv", Format::Csv), ("x.parquet", Format::Parquet)] {
        let file = File::new(name, written(format));
        let survey = file.survey(&Choice::default());
        let kinds = survey
            .schema
            .columns
            .iter()
            .map(|column| column.kind.name());
        assert_eq!(kinds.collect::<Vec<_>>(), ["real", "integer", "category"]);
        assert_eq!(survey.rows, 6);
        let Kind::Category { levels } = &survey.schema.columns[2].kind else {
            panic!()
        };
        assert_eq!(levels, &["plain", "with \"quotes\"", "with, comma"]);
        let found = numbers(&file.table(), &survey, false);
        let first = |column: usize| found[1].values.iter().skip(column).step_by(3).copied();
        assert!(first(0).map(|x| x as f32).eq([0.1, -1e-30, 3e30]));
        assert!(first(1).eq([-1.0, 0.0, 32768.0]));
        assert!(first(2).eq([0.0, 2.0, 1.0]));
    }
}

#[test]
fn a_table_without_rows_has_names() {
    let writer = Writer::new(Vec::new(), Format::Csv, &columns()).unwrap();
    assert_eq!(writer.finish().unwrap(), b"a number,count,text\n");
    let writer = Writer::new(Vec::new(), Format::Parquet, &columns()).unwrap();
    let file = File::new("x.parquet", writer.finish().unwrap());
    let error = file.refused(&Choice::default());
    assert_eq!(
        error,
        "`x.parquet` has no rows below the names of its columns"
    );
}
