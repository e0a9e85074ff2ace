//! Image data sets on disk as u8 tensors: MNIST, Fashion-MNIST, CIFAR-10.
