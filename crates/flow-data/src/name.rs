//! The names of data sets and of their parts, as they are typed.

use std::{fmt, str::FromStr};

use crate::{
    Error, Result,
    source::{CIFAR10, FASHION_MNIST, MNIST, Source},
};

/// A data set this crate can read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DatasetName {
    /// 70,000 handwritten digits, 1×28×28.
    Mnist,
    /// 70,000 articles of clothing, 1×28×28.
    FashionMnist,
    /// 60,000 small photographs, 3×32×32.
    Cifar10,
}

/// One of the two parts of a data set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Split {
    /// Images that a model is fitted to.
    Train,
    /// Images that it is judged on.
    Test,
}

impl DatasetName {
    /// Every data set.
    pub const ALL: [Self; 3] = [Self::Mnist, Self::FashionMnist, Self::Cifar10];

    /// Its name on the command line, and the name of its folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Cifar10 => "cifar10",
        }
    }

    /// Names of its classes, by their labels.
    pub fn classes(self) -> [&'static str; 10] {
        match self {
            Self::Mnist => ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
            Self::FashionMnist => [
                "T-shirt/top",
                "trouser",
                "pullover",
                "dress",
                "coat",
                "sandal",
                "shirt",
                "sneaker",
                "bag",
                "ankle boot",
            ],
            Self::Cifar10 => [
                "airplane",
                "automobile",
                "bird",
                "cat",
                "deer",
                "dog",
                "frog",
                "horse",
                "ship",
                "truck",
            ],
        }
    }

    /// Its source and its files.
    pub fn source(self) -> Source {
        match self {
            Self::Mnist => MNIST,
            Self::FashionMnist => FASHION_MNIST,
            Self::Cifar10 => CIFAR10,
        }
    }
}

impl Split {
    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DatasetName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|known| known.as_str() == name);
        known.ok_or_else(|| Error::Unknown {
            kind: "data set",
            name: name.to_owned(),
            expected: "`mnist`, `fashion-mnist` or `cifar10`",
        })
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Split {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = [Self::Train, Self::Test]
            .into_iter()
            .find(|known| known.as_str() == name);
        known.ok_or_else(|| Error::Unknown {
            kind: "split",
            name: name.to_owned(),
            expected: "`train` or `test`",
        })
    }
}
