//! Wrong tables and models: one clear line each, which the snapshots show.

use std::fmt::Write as _;

use crate::{
    bad_input::{transcript, typed},
    sandbox::Sandbox,
    tables::{TINY, pets},
};

/// Tables that nothing can be fitted to, by name.
fn wrong_tables() -> Vec<(&'static str, Vec<u8>)> {
    let text = |name, content: &str| (name, content.as_bytes().to_vec());
    let rows = |names: &str, row: &dyn Fn(usize) -> String| {
        let rows = (0..40).map(|i| row(i) + "\n").collect::<String>();
        format!("{names}\n{rows}")
    };
    let number = |i: usize| (i as f64 * 1.7).sin();
    let with = |line: &str| rows("a,b", &|i| format!("{},{}", number(i), number(i + 9))) + line;
    let mut tables = vec![
        text("empty.csv", ""),
        text("blank.csv", "\n\n\n"),
        text("space.csv", " \n"),
        text("names.csv", "a,b\n"),
        text("names-only.csv", "a,b"),
        text("few.csv", "a,b\n1.5,2\n3,4.5\n"),
        text("numbers.csv", "1,2\n3,4\n5,6\n"),
        text("twice.csv", "a,b,a\n1,2,3\n4,5,6\n"),
        text("unnamed.csv", ",a,b\n0,1.5,2\n1,3,4.5\n"),
        text("short.csv", &with("1\n")),
        text("long.csv", &with("1,2,3\n")),
        text("comma.csv", &with("1,2,\n")),
        text("other-separator.csv", &with("1;2\n")),
        text("quote.csv", &with("\"1,2\n")),
        text("text.csv", &with("one,2\n")),
        text("unit.csv", &with("1 m,2\n")),
        text("percent.csv", &with("50%,2\n")),
        text("decimal-comma.csv", &with("\"1,5\",2\n")),
        text("thousands.csv", &with("\"1,000\",2\n")),
        text("date.csv", &with("2020-01-01,2\n")),
        text("question.csv", &with("?,2\n")),
        text("dash.csv", &with("-,2\n")),
        text("hexadecimal.csv", &with("0x10,2\n")),
        text("huge.csv", &with("1e308,2\n")),
        text("huge-negative.csv", &with("-1e39,2\n")),
        text("overflow.csv", &with("1e400,2\n")),
        text("infinite.csv", &with("inf,2\n")),
        text("negative-infinity.csv", &with("-Infinity,2\n")),
        text("missing.csv", &with(",2\n")),
        text("nan.csv", &with("NaN,2\n")),
        text("na.csv", &with("NA,2\n1,n/a\n")),
        text("null.csv", &with("1,NULL\n")),
        text("all-missing.csv", &rows("a,b", &|i| format!("{i},"))),
        text("equal.csv", &rows("a,b", &|_| "1,2".to_owned())),
        text("equal-texts.csv", &rows("a,b", &|_| "x,y".to_owned())),
        text("one-text.csv", &rows("a", &|_| "x".to_owned())),
        text(
            "texts.csv",
            &(0..300)
                .map(|i| format!("{},t{i}\n", number(i)))
                .fold("a,b\n".to_owned(), |all, row| all + &row),
        ),
        text(
            "offset.csv",
            &rows("a,b", &|i| {
                format!("{},{}", 1_600_000_000.5 + i as f64, number(i))
            }),
        ),
        text(
            "tiny-spread.csv",
            &rows("a,b", &|i| {
                format!("{:.9},{}", 1.0 + 1e-8 * i as f64, number(i))
            }),
        ),
        text("json.csv", "{\"a\": [1, 2],\n \"b\": [3, 4]}\n"),
        text("html.csv", "<html>\n<body>\n</body></html>\n"),
        text("control.csv", &with("\u{1b}[31m,2\n")),
        text("new-line.csv", &with("\"1\n2\",2\n")),
    ];
    let good = rows("a,b,c,k", &|i| {
        format!(
            "{},{},{},{}",
            number(i),
            i,
            0.5 + 0.4 * number(i),
            ["x", "y"][i % 2]
        )
    });
    tables.push(text("good.csv", &good));
    tables.push(text("one.csv", &rows("a", &|i| number(i).to_string())));
    tables
}

/// Files that are no text, or text in another encoding.
fn wrong_bytes() -> Vec<(&'static str, Vec<u8>)> {
    let utf16 = "a,b\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes);
    vec![
        ("latin-1.csv", b"a,b\n1,2\ncaf\xe9,2\n".to_vec()),
        ("latin-1-names.csv", b"caf\xe9,b\n1,2\n".to_vec()),
        (
            "utf-16.csv",
            [&b"\xff\xfe"[..], &utf16.collect::<Vec<_>>()].concat(),
        ),
        ("zero-bytes.csv", vec![0; 100]),
        ("gzip.csv", b"\x1f\x8b\x08\x00\x00\x00\x00\x00".to_vec()),
        ("zip.csv", b"PK\x03\x04\x00\x00".to_vec()),
        ("excel.xlsx", b"PK\x03\x04\x14\x00".to_vec()),
        ("image.csv", b"\x89PNG\r\n\x1a\n\x00\x00".to_vec()),
        ("feather.csv", b"ARROW1\x00\x00".to_vec()),
        ("hdf5.csv", b"\x89HDF\r\n\x1a\n".to_vec()),
        ("numpy.csv", b"\x93NUMPY\x01\x00".to_vec()),
        ("cut.parquet", b"PAR1\x15\x00\x15".to_vec()),
        (
            "no-footer.parquet",
            [&b"PAR1"[..], &[0; 40], b"PAR1"].concat(),
        ),
    ]
}

/// `flow fit` of each, and of good tables with wrong options.
#[test]
fn tables_that_nothing_can_be_fitted_to() {
    let sandbox = Sandbox::new();
    let tables = [wrong_tables(), wrong_bytes()].concat();
    let mut commands = String::new();
    for (name, content) in &tables {
        sandbox.write(name, content);
        if !["good.csv", "one.csv"].contains(name) {
            writeln!(commands, "fit {name}").unwrap();
        }
    }
    std::fs::create_dir(sandbox.path("folder")).unwrap();
    commands += "
        fit nowhere.csv
        fit folder
        fit /dev/null
        fit empty.csv --drop-missing
        fit all-missing.csv --drop-missing
        fit few.csv --drop-missing
        fit equal.csv --columns a
        fit good.csv --columns a,z
        fit good.csv --columns a,a
        fit good.csv --columns A
        fit good.csv --given z
        fit good.csv --columns a --given a
        fit good.csv --given a,b,c,k
        fit good.csv --angle z
        fit good.csv --angle a=1
        fit good.csv --angle b
        fit good.csv --angle k
        fit good.csv --bounded a=0..1
        fit good.csv --bounded b=0..10
        fit good.csv --bounded k=0..1
        fit good.csv --real k
        fit good.csv --columns a --categorical b
        fit good.csv --categorical z
        fit one.csv --recipe nsf
        fit one.csv --recipe realnvp
        fit good.csv --out nowhere/model.safetensors --epochs 1 --layers 1
        fit good.csv --plot pairs.txt
        fit good.csv --plot nowhere/pairs.png
    ";
    insta::assert_snapshot!("fit", transcript(&sandbox, &commands));
}

/// Rows that the model of `pets.csv` cannot score.
const ROWS: &[(&str, &str)] = &[
    ("few-values", "cat,4,4,10,0.5"),
    ("more-values", "cat,4,4,10,0.5,0,1"),
    ("no-species", ",4,4,10,0.5,0"),
    ("no-mood", "cat,4,4,10,0.5,NA"),
    ("unseen-category", "horse,4,4,10,0.5,0"),
    ("other-case", "Cat,4,4,10,0.5,0"),
    ("number-for-category", "1,4,4,10,0.5,0"),
    ("text-for-number", "cat,heavy,4,10,0.5,0"),
    ("zero-weight", "cat,0,4,10,0.5,0"),
    ("negative-weight", "cat,-4,4,10,0.5,0"),
    ("infinite-weight", "cat,inf,4,10,0.5,0"),
    ("huge-weight", "cat,1e300,4,10,0.5,0"),
    ("half-a-leg", "cat,4,3.5,10,0.5,0"),
    ("infinite-legs", "cat,4,-inf,10,0.5,0"),
    ("negative-angle", "cat,4,4,-10,0.5,0"),
    ("more-than-a-turn", "cat,4,4,361,0.5,0"),
    ("text-for-angle", "cat,4,4,north,0.5,0"),
    ("below-bound", "cat,4,4,10,-0.1,0"),
    ("above-bound", "cat,4,4,10,1.5,0"),
    ("text-for-given", "cat,4,4,10,0.5,happy"),
    ("infinite-given", "cat,4,4,10,0.5,inf"),
    ("huge-given", "cat,4,4,10,0.5,1e40"),
];

#[test]
fn rows_that_a_model_does_not_know() {
    let sandbox = Sandbox::with_pets();
    let names = "species,weight,legs,heading,share,mood";
    let model = "--checkpoint pets.safetensors";
    let mut commands = String::new();
    for (name, row) in ROWS {
        sandbox.write(&format!("{name}.csv"), format!("{names}\n{row}\n"));
        writeln!(commands, "score {model} {name}.csv --out scores.csv").unwrap();
        writeln!(
            commands,
            "outliers {model} --table {name}.csv --out found.parquet"
        )
        .unwrap();
    }
    for (name, content) in [
        (
            "no-column",
            "species,weight,legs,heading,share\ncat,4,4,10,0.5\n",
        ),
        (
            "two-columns",
            "species,weight,legs,heading,share,mood,mood\ncat,4,4,10,0.5,0,1\n",
        ),
        ("other-names", "a,b\n1,2\n"),
        ("nothing", ""),
    ] {
        sandbox.write(&format!("{name}.csv"), content);
        writeln!(commands, "score {model} {name}.csv --out scores.csv").unwrap();
        writeln!(commands, "outliers {model} --table {name}.csv --rank 1").unwrap();
    }
    insta::assert_snapshot!("rows", transcript(&sandbox, &commands));
}

#[test]
fn models_and_options_that_do_not_fit() {
    let sandbox = Sandbox::with_pets();
    sandbox.write("text", "no model");
    sandbox.write(
        "one.csv",
        "species,weight,legs,heading,share,mood\ncat,4,4,10,0.5,0\n",
    );
    std::fs::create_dir(sandbox.path("folder")).unwrap();
    let model = "--checkpoint pets.safetensors";
    let commands = format!(
        "
        score --checkpoint nowhere one.csv
        score --checkpoint text one.csv
        score --checkpoint folder one.csv
        score --checkpoint one.csv one.csv
        score {model} nowhere.csv
        score {model} folder
        score {model} one.csv --out scores.txt
        score {model} one.csv --out nowhere/scores.csv
        score {model} one.csv --out folder
        sample {model}
        sample --rows 1
        sample {model} --rows 1
        sample {model} --rows 1 --given mood=happy
        sample {model} --rows 1 --given mood=inf
        sample {model} --rows 1 --given mood=
        sample {model} --rows 1 --given legs=2
        sample {model} --rows 1 --given mood=1 --given mood=2
        sample {model} --rows 1 --given mood=1 --given z=2
        sample {model} --rows 1 --given mood=1 --temperature 0.5,1
        sample {model} --rows 1 --given mood=1 --out rows.png
        sample {model} --rows 1 --given mood=1 --out nowhere/rows.csv
        sample --checkpoint text --rows 1
        outliers --table one.csv
        outliers --checkpoint text --table one.csv
        outliers {model} --table one.csv --out found.html
        eval {model}
        density {model} one.csv
        verify pets.safetensors
        "
    );
    insta::assert_snapshot!("models", transcript(&sandbox, &commands));
}

#[test]
fn what_is_typed_wrong_about_tables() {
    let sandbox = Sandbox::new();
    sandbox.write("good.csv", pets(30));
    let rows = format!(
        "
        fit
        fit good.csv other.csv
        fit good.csv --recipe glow
        fit good.csv --layers 0
        fit good.csv --width 0
        fit good.csv --epochs 0
        fit good.csv --patience 0
        fit good.csv --batch-size 0
        fit good.csv --lr 0
        fit good.csv --test-share 1
        fit good.csv --test-share -0.1
        fit good.csv --seed -1
        fit good.csv --angle heading=0
        fit good.csv --angle heading=north
        fit good.csv --bounded share
        fit good.csv --bounded share=0
        fit good.csv --bounded share=1..0
        fit good.csv --bounded share=0..one
        fit good.csv --bounded share=0..nan
        fit good.csv {TINY} --device gpu
        score good.csv
        score --checkpoint a
        score --checkpoint a good.csv --mean --out b.csv
        sample --given mood=1
        sample --rows 0
        sample --rows 1 --given mood
        sample --rows 1 --count 2
        sample --rows 1 --class 2
        outliers --table good.csv --against mnist
        outliers --table good.csv --score likelihood
        outliers --table good.csv --json
        outliers --drop-missing --rank 1
    "
    );
    insta::assert_snapshot!("typed", typed(&sandbox, &rows));
}
