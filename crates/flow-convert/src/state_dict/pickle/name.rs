//! The classes and functions of Python that mean something here.

/// A class or function of Python whose calls are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Name {
    OrderedDict,
    RebuildTensor,
    /// A tensor is its first argument: parameters, and tensors of some devices.
    RebuildFirst,
    /// A subclass of a tensor: a function, the subclass, and the function's arguments.
    RebuildFromType,
    Storage(Kind),
}

/// The type of a storage's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Kind {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
    /// Numbers of so many bytes that no weight is made of: complex and quantised ones, bare bytes.
    Other(usize),
}

impl Name {
    pub(super) fn parse(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            (
                "torch._utils",
                "_rebuild_parameter"
                | "_rebuild_parameter_with_state"
                | "_rebuild_device_tensor_from_cpu_tensor",
            ) => Self::RebuildFirst,
            ("torch._tensor" | "torch.tensor", "_rebuild_from_type" | "_rebuild_from_type_v2") => {
                Self::RebuildFromType
            }
            ("torch" | "torch.storage", storage) => Self::Storage(Kind::of_storage(storage)?),
            _ => return None,
        })
    }
}

impl Kind {
    fn of_storage(class: &str) -> Option<Self> {
        Some(match class {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::Bf16,
            "LongStorage" => Self::I64,
            "IntStorage" => Self::I32,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            "ComplexDoubleStorage" => Self::Other(16),
            "ComplexFloatStorage" => Self::Other(8),
            "QInt32Storage" => Self::Other(4),
            "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage"
            | "UntypedStorage" => Self::Other(1),
            _ => return None,
        })
    }

    /// Bytes of a number.
    pub(in super::super) fn bytes(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::Other(bytes) => bytes,
        }
    }

    /// The number that `bytes`, as many as it has, are in little-endian order; NaN if no weight is
    /// made of such numbers.
    pub(in super::super) fn decode(self, bytes: &[u8]) -> f64 {
        fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
            bytes.try_into().expect("as many bytes as the number has")
        }
        match self {
            Self::F64 => f64::from_le_bytes(array(bytes)),
            Self::F32 => f32::from_le_bytes(array(bytes)).into(),
            Self::F16 => half::f16::from_le_bytes(array(bytes)).into(),
            Self::Bf16 => half::bf16::from_le_bytes(array(bytes)).into(),
            Self::I64 => i64::from_le_bytes(array(bytes)) as f64,
            Self::I32 => i32::from_le_bytes(array(bytes)).into(),
            Self::I16 => i16::from_le_bytes(array(bytes)).into(),
            Self::I8 => i8::from_le_bytes(array(bytes)).into(),
            Self::U8 | Self::Bool => bytes[0].into(),
            Self::Other(_) => f64::NAN,
        }
    }

    /// Whole numbers and flags.
    pub(in super::super) fn is_whole(self) -> bool {
        !matches!(
            self,
            Self::F64 | Self::F32 | Self::F16 | Self::Bf16 | Self::Other(_)
        )
    }
}
