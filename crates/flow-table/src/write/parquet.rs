//! Parquet, a group of rows for each chunk.

use std::{
    io::{self, Write},
    sync::Arc,
};

use parquet::{
    basic::{Compression, LogicalType, Repetition, Type as Physical},
    data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int64Type},
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::Type,
};

use crate::{Error, Result, Series};

pub(super) struct Parquet<W: Write + Send>(SerializedFileWriter<W>);

impl<W: Write + Send> Parquet<W> {
    pub(super) fn new(out: W, columns: &[(&str, Series)]) -> Result<Self> {
        let fields = columns.iter().map(|(name, series)| field(name, series));
        let fields = fields.collect::<Result<_, _>>().map_err(io)?;
        let schema = Type::group_type_builder("schema").with_fields(fields);
        let schema = Arc::new(schema.build().map_err(io)?);
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
        let writer = SerializedFileWriter::new(out, schema, Arc::new(properties.build()));
        Ok(Self(writer.map_err(io)?))
    }

    pub(super) fn write(&mut self, columns: &[Series]) -> Result<()> {
        self.group(columns).map_err(io)
    }

    fn group(&mut self, columns: &[Series]) -> Result<(), ParquetError> {
        let mut group = self.0.next_row_group()?;
        for column in columns {
            match column {
                Series::Float(values) => next::<FloatType, W>(&mut group, values)?,
                Series::Integer(values) => next::<Int64Type, W>(&mut group, values)?,
                Series::Text(values) => {
                    let values = values.iter().map(|text| ByteArray::from(text.as_str()));
                    next::<ByteArrayType, W>(&mut group, &values.collect::<Vec<_>>())?;
                }
            }
        }
        group.close()?;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<W> {
        self.0.into_inner().map_err(io)
    }
}

fn field(name: &str, series: &Series) -> Result<Arc<Type>, ParquetError> {
    let (physical, logical) = match series {
        Series::Float(_) => (Physical::FLOAT, None),
        Series::Integer(_) => (Physical::INT64, None),
        Series::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let field = Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(logical);
    Ok(Arc::new(field.build()?))
}

/// Writes the next column.
fn next<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
) -> Result<(), ParquetError> {
    let column = group.next_column()?;
    let mut column = column.ok_or_else(|| ParquetError::General("too many columns".to_owned()))?;
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}

fn io(error: ParquetError) -> Error {
    Error::Write(match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    })
}
