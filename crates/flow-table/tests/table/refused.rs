//! Wrong tables: one clear line each.

use flow_table::{Choice, Numbers, Survey, Wanted};

use crate::File;

fn refused(content: &str) -> String {
    File::csv(content).refused(&Choice::default())
}

#[test]
fn whole_tables() {
    for (content, expected) in [
        ("", "`x.csv` is empty"),
        (
            "a,b\n",
            "`x.csv` has no rows below the names of its columns",
        ),
        ("a,b\n1,1\n1,1\n", "`x.csv` has the same values in all rows"),
        (
            "a,b\n1,2\n",
            "`x.csv` has one row, and columns of one value have no density",
        ),
        (
            "a;b\n1,5;2\n2,5;3\n",
            "`x.csv`, line 2, column `a`: `1,5` is not a number; write numbers with a point and without separators of thousands, or take texts with `--categorical`",
        ),
        (
            "a,b\n1,\nNA,2\n",
            "`x.csv`, line 2, column `b`: a value is missing, as in every row; name other columns with `--columns`",
        ),
        ("a,a\n1,2\n3,4\n", "`x.csv` has two columns `a`"),
        (
            ",a\n0,2\n1,4\n",
            "`x.csv` has no name for its column 1, as an index has none; choose others with `--columns`",
        ),
        (
            "1,2\n3,4\n",
            "`x.csv`, line 1: its first line, with `1`, has no names of columns; put a line of names above it",
        ),
    ] {
        assert_eq!(refused(content), expected);
    }
    let drop = Choice {
        drop_missing: true,
        ..Choice::default()
    };
    assert_eq!(
        File::csv("a,b\n1,\nNA,2\n").refused(&drop),
        "`x.csv`, line 2, column `b`: a value is missing, as in every row; name other columns with `--columns`"
    );
}

#[test]
fn rows_and_values() {
    for (content, expected) in [
        (
            "a,b\n1,2\n3\n",
            "`x.csv`, line 3: 1 value, but the first line names 2 columns",
        ),
        (
            "a,b\n1,2,3\n",
            "`x.csv`, line 2: 3 values, but the first line names 2 columns",
        ),
        (
            "a,b\n1,2\n3,\"4\n5,6\n",
            "`x.csv`, line 3, column `b`: `4\\n5,6` is not a number, as other values of the column are; correct it, or take texts with `--categorical`",
        ),
        (
            "a,b\n1,2\nx,4\n",
            "`x.csv`, line 3, column `a`: `x` is not a number, as other values of the column are; correct it, or take texts with `--categorical`",
        ),
        (
            "a;b\n1,5;2\n2;4\n",
            "`x.csv`, line 2, column `a`: `1,5` is not a number, as other values of the column are; write numbers with a point and without separators of thousands",
        ),
        (
            "a,b\n1,2\n1e308,4\n",
            "`x.csv`, line 3, column `a`: `1e308` is beyond ±3.4e38, the range of numbers of 32 bits",
        ),
        (
            "a,b\n1,2\n1e400,4\n",
            "`x.csv`, line 3, column `a`: `1e400` is not a finite number",
        ),
        (
            "a,b\n1,2\n-inf,4\n",
            "`x.csv`, line 3, column `a`: `-inf` is not a finite number",
        ),
        (
            "a,b\n1,1600000000\n2,1600000003.5\n",
            "`x.csv`, column `b`: it varies by 1.75e0 around 1600000001.750000, less than numbers of 32 bits resolve; subtract 1600000002 first",
        ),
    ] {
        assert_eq!(refused(content), expected);
    }
    let rows = (0..300).map(|i| format!("{i},t{i:03}"));
    let many = rows.collect::<Vec<_>>().join("\n");
    assert_eq!(
        refused(&format!("a,b\n{many}")),
        "`x.csv`, column `b`: it holds more than 256 different texts, such as `t000`, `t001`, `t002`; write them as numbers, or name the other columns with `--columns`"
    );
}

#[test]
fn files_of_other_formats() {
    for (content, expected) in [
        (
            &b"\x1f\x8b\x08\0"[..],
            "`x.csv` is compressed by gzip, neither CSV nor Parquet",
        ),
        (
            b"PK\x03\x04....",
            "`x.csv` is a zip archive or an Excel file, neither CSV nor Parquet",
        ),
        (
            b"\xff\xfea\0,\0b\0",
            "`x.csv` is UTF-16, not UTF-8, neither CSV nor Parquet",
        ),
        (
            b"PAR1....",
            "`x.csv` cannot be read: it is not a parquet file",
        ),
        (
            b"a,b\n1,2\n\xe9,3\n",
            "`x.csv`, line 3: it is not text in UTF-8; convert the file, as by `iconv -f LATIN1 -t UTF-8`",
        ),
        (
            b"\xe9,b\n1,2\n",
            "`x.csv`, line 1: it is not text in UTF-8; convert the file, as by `iconv -f LATIN1 -t UTF-8`",
        ),
    ] {
        assert_eq!(
            File::new("x.csv", content).refused(&Choice::default()),
            expected
        );
    }
    let folder = File::csv("");
    let table = flow_table::Table::at(folder.folder.path());
    assert!(
        table
            .open()
            .err()
            .unwrap()
            .to_string()
            .ends_with("is a folder")
    );
    let nowhere = flow_table::Table::at(&folder.folder.path().join("y"));
    assert!(
        nowhere
            .open()
            .err()
            .unwrap()
            .to_string()
            .starts_with("cannot read `")
    );
}

#[test]
fn columns_that_are_asked_for() {
    let file = File::csv("a,b,c\n1,2,x\n3,4,x\n");
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>()
    };
    let columns = |columns: &[&str]| Choice {
        columns: names(columns),
        ..Choice::default()
    };
    let given = |given: &[&str]| Choice {
        given: names(given),
        ..Choice::default()
    };
    let kind = |name: &str, kind| Choice {
        kinds: vec![(name.to_owned(), kind)],
        ..columns(&["a"])
    };
    let angle = Wanted::Angle { period: 1.0 };
    let bounded = Wanted::Bounded {
        low: 0.0,
        high: 2.0,
    };
    for (choice, expected) in [
        (
            columns(&["a", "d"]),
            "`x.csv` has no column `d`; it has `a`, `b`, `c`",
        ),
        (
            columns(&["a", "a"]),
            "`x.csv` is asked for its column `a` twice",
        ),
        (
            columns(&["a", "c"]),
            "`x.csv`, column `c`: it has the same value in all rows; leave it out",
        ),
        (
            given(&["c"]),
            "`x.csv`, column `c`: it has the same value in all rows; leave it out",
        ),
        (
            given(&["e"]),
            "`x.csv` has no column `e`; it has `a`, `b`, `c`",
        ),
        (
            kind("d", angle),
            "`x.csv` has no column `d`; it has `a`, `b`, `c`",
        ),
        (
            kind("b", angle),
            "`x.csv` has a kind for its column `b`, which is not among those asked for",
        ),
        (
            kind("a", angle),
            "`x.csv`, column `a`: its angles lie from 1.000 to 3.000, not within one turn of 1.000; say how much a turn is, as in `--angle a=360`",
        ),
        (
            kind("a", bounded),
            "`x.csv`, line 3, column `a`: `3` does not lie within 0..2",
        ),
    ] {
        assert_eq!(file.refused(&choice), expected);
    }
}

/// Rows that differ from those that a model was fitted to.
#[test]
fn rows_to_score() {
    let fitted = File::csv("r,p,i,c,w\n-1.5,1.5,1,x,0\n2.5,2,2,y,180\n3,4,3,x,90\n");
    let choice = Choice {
        kinds: vec![("w".to_owned(), Wanted::Angle { period: 360.0 })],
        ..Choice::default()
    };
    let survey: Survey = fitted.survey(&choice);
    for (row, expected) in [
        (
            "1,1,1,x",
            "`x.csv`, line 2: 4 values, but the first line names 5 columns",
        ),
        (
            "1,1,1,,0",
            "`x.csv`, line 2, column `c`: a value is missing; `--drop-missing` leaves such rows out",
        ),
        (
            "z,1,1,x,0",
            "`x.csv`, line 2, column `r`: `z` is not a number",
        ),
        (
            "inf,1,1,x,0",
            "`x.csv`, line 2, column `r`: `inf` is not a finite number",
        ),
        (
            "1,0,1,x,0",
            "`x.csv`, line 2, column `p`: `0` is not above 0",
        ),
        (
            "1,1,1.5,x,0",
            "`x.csv`, line 2, column `i`: `1.5` is not a whole number",
        ),
        (
            "1,1,2000000,x,0",
            "`x.csv`, line 2, column `i`: `2000000` is beyond ±1048576, the range of whole numbers",
        ),
        (
            "1,1,1,z,0",
            "`x.csv`, line 2, column `c`: `z` is not among the values that the model was fitted to: `x`, `y`",
        ),
        (
            "1,1,1,x,-90",
            "`x.csv`, line 2, column `w`: `-90` is not an angle within 0..360",
        ),
    ] {
        let file = File::csv(&format!("r,p,i,c,w\n{row}\n"));
        let mut numbers = Numbers::of(&file.table(), &survey.schema, false).unwrap();
        assert_eq!(file.line(&numbers.next_chunk(10).unwrap_err()), expected);
    }
    let file = File::csv("r,p,i,c\n1,1,1,x\n");
    let error = Numbers::of(&file.table(), &survey.schema, false)
        .err()
        .unwrap();
    assert_eq!(
        file.line(&error),
        "`x.csv` has no column `w`; it has `r`, `p`, `i`, `c`"
    );
}
