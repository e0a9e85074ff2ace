//! NumPy's files as tensors: its own bytes, there and back, and what is refused.

use std::fs;

use candle_core::{DType, Device, Tensor};
use flow_data::numpy;

/// `numpy.save` of NumPy 2.4.6 writes these headers.
fn npy(dtype: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:<117}\n");
    [b"\x93NUMPY\x01\x00v\x00", header.as_bytes(), elements].concat()
}

/// The tensor of a `.npy` file, or why there is none.
fn read(content: &[u8]) -> Result<Tensor, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    fs::write(&path, content).unwrap();
    let found = numpy::read(&path).map_err(|error| error.to_string());
    found.map(|mut tensors| tensors.remove("x").unwrap())
}

#[test]
fn arrays_of_numpy_are_read() {
    // numpy.array([[1.5, -2.0, 0.1]]) as float32, and as float64 with the highest byte first.
    let bytes = b"\x00\x00\xc0?\x00\x00\x00\xc0\xcd\xcc\xcc=";
    let single = read(&npy("<f4", "(1, 3)", bytes)).unwrap();
    assert_eq!(single.to_vec2::<f32>().unwrap(), [[1.5, -2.0, 0.1]]);
    let bytes = b"?\xf8\0\0\0\0\0\0\xc0\0\0\0\0\0\0\0?\xb9\x99\x99\x99\x99\x99\x9a";
    let double = read(&npy(">f8", "(1, 3)", bytes)).unwrap();
    assert_eq!(double.to_vec2::<f64>().unwrap(), [[1.5, -2.0, 0.1]]);
    let labels = read(&npy("<i2", "(2,)", b"\x03\x00\x01\x01")).unwrap();
    assert_eq!(labels.to_vec1::<u32>().unwrap(), [3, 257]);
    let empty = read(&npy("|u1", "(0, 3)", b"")).unwrap();
    assert_eq!(empty.dims(), [0, 3]);
}

#[test]
fn tensors_come_back_to_the_bit() {
    let numbers = Tensor::new(&[[1_u8, 200], [3, 4]], &Device::Cpu).unwrap();
    for dtype in [DType::U8, DType::U32, DType::F16, DType::F32, DType::F64] {
        let tensor = numbers.to_dtype(dtype).unwrap();
        // Tensors whose elements lie in another order in memory.
        for tensor in [tensor.clone(), tensor.t().unwrap()] {
            let again = read(&numpy::npy(&tensor).unwrap()).unwrap();
            assert_eq!(again.dtype(), dtype);
            assert_eq!(again.to_string(), tensor.to_string());
        }
    }
    let content = numpy::npy(&numbers).unwrap();
    assert_eq!(content, npy("|u1", "(2,2,)", &[1, 200, 3, 4]));
    assert!(numpy::npy(&numbers.to_dtype(DType::BF16).unwrap()).is_err());
    let twice = [("a".to_owned(), numbers.clone()), ("a".to_owned(), numbers)];
    assert!(numpy::npz(&twice).is_err());
}

#[test]
fn arrays_that_are_no_tensors_are_refused() {
    let refused = [
        (
            npy("<c8", "(1,)", &[0; 8]),
            "tensors hold floats or integers",
        ),
        (npy("|b1", "(1,)", &[0]), "holds bool"),
        (npy("<i8", "(1,)", &[255; 8]), "as -1"),
        (
            npy("<f4", "(3,)", &[0; 11]),
            "announces 140 B, but holds 139 B",
        ),
        (
            npy("<f4", "(3,)", &[0; 13]),
            "announces 140 B, but holds more",
        ),
        (npy("<f4", "(4611686018427387904, 4)", &[]), "more elements"),
        (
            npy("<f4", "(0, 4611686018427387904, 4)", &[]),
            "more elements",
        ),
        (npy("<f4", "(1,1,1,1,1,1,1,1,1)", &[0; 4]), "is of 9 axes"),
        (
            b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(),
            "is not an array",
        ),
    ];
    for (content, reason) in refused {
        let error = read(&content).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}
