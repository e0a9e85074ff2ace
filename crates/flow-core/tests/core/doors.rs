//! Argument checks of every bijection: errors in one line that name the shape it got and the shape
//! it needs, and empty results for an empty batch.

use candle_core::{DType, Device, Result, Tensor};
use flow_core::params::ParamStore;
use flow_core::runs::Rows;
use flow_core::{Bijection, Gradients};

type Function<'a> = (&'static str, Box<dyn Fn(&Tensor) -> Result<()> + 'a>);

/// Every entry point of a bijection.
fn ways(bijection: &dyn Bijection) -> Vec<Function<'_>> {
    vec![
        ("forward", Box::new(|x| bijection.forward(x).map(|_| ()))),
        ("inverse", Box::new(|y| bijection.inverse(y).map(|_| ()))),
        (
            "inverse_with_log_det",
            Box::new(|y| bijection.inverse_with_log_det(y).map(|_| ())),
        ),
        (
            "initialize",
            Box::new(|x| bijection.initialize(x).map(|_| ())),
        ),
        (
            "backward",
            Box::new(|y| {
                let grad_log_det = Tensor::zeros(2, y.dtype(), y.device())?;
                let mut grads = Gradients::new(&ParamStore::new(0));
                let pulled = bijection.backward(y, y, &grad_log_det, &mut grads);
                pulled.map(|_| ())
            }),
        ),
        (
            "frozen",
            Box::new(|x| {
                let frozen = bijection.frozen(&Rows::all(2))?;
                frozen.forward(x).map(|_| ())
            }),
        ),
    ]
}

/// Numbers of the given shape, in (0, 1), where all functions are defined.
pub(crate) fn numbers(shape: &[usize], dtype: DType) -> Tensor {
    (Tensor::ones(shape, dtype, &Device::Cpu).unwrap() * 0.5).unwrap()
}

/// Every entry point refuses an input of this shape.
pub(crate) fn refuses(name: &str, bijection: &dyn Bijection, shape: &[usize], dtype: DType) {
    let x = numbers(shape, dtype);
    for (way, function) in ways(bijection) {
        let Err(error) = function(&x) else {
            panic!("{name}: {way} takes {shape:?}");
        };
        let message = error.to_string();
        // A backtrace follows if it is enabled.
        let line = message.lines().next().unwrap_or_default();
        assert!(
            line.contains("got") && line.contains("needed"),
            "{name}: {way} of {shape:?} says {line}"
        );
    }
}

/// An empty batch stays empty, both ways and in a backward pass.
pub(crate) fn empty(name: &str, bijection: &dyn Bijection, sample: &[usize], dtype: DType) {
    let x = numbers(&[&[0], sample].concat(), dtype);
    let shapes = || -> Result<()> {
        let frozen = bijection.frozen(&Rows::all(0))?;
        for bijection in [bijection, &*frozen] {
            let (y, log_det) = bijection.forward(&x)?;
            assert_eq!((y.dim(0)?, log_det.dims()), (0, &[0][..]), "{name}");
            assert_eq!(bijection.inverse(&y)?.dims(), x.dims(), "{name}");
            let (back, log_det) = bijection.inverse_with_log_det(&y)?;
            assert_eq!(
                (back.dims(), log_det.dims()),
                (x.dims(), &[0][..]),
                "{name}"
            );
        }
        let (y, log_det) = bijection.forward(&x)?;
        let (y, log_det) = (y.detach(), log_det.detach());
        let mut grads = Gradients::new(&ParamStore::new(0));
        let (back, grad) = bijection.backward(&y, &y, &log_det, &mut grads)?;
        assert_eq!((back.dims(), grad.dims()), (x.dims(), x.dims()), "{name}");
        Ok(())
    };
    shapes().unwrap_or_else(|error| panic!("{name} in {dtype:?}: {error}"));
}
