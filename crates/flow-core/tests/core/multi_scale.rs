//! Multi-scale flows against the Jacobian, level by level, and with a context.

use candle_core::{DType, Device, Result, Tensor, bail};
use flow_core::params::{ParamBuilder, ParamStore};
use flow_core::runs::Rows;
use flow_core::{
    ActNorm, Bijection, Chain, InvertibleConv1x1, MultiScale, Squeeze, Whiten, check, device,
    random,
};

/// Two levels for images of two channels, 4×8.
const IMAGE: [usize; 3] = [2, 4, 8];

fn levels(params: &ParamBuilder) -> Result<MultiScale<Chain>> {
    let level = |channels: usize, params: ParamBuilder| {
        Chain::new(vec![
            Box::new(Squeeze) as Box<dyn Bijection>,
            Box::new(ActNorm::new(4 * channels, params.pp("actnorm"))?),
            Box::new(InvertibleConv1x1::new(4 * channels, params.pp("conv1x1"))?),
        ])
    };
    MultiScale::new(
        vec![level(2, params.pp(0))?, level(4, params.pp(1))?],
        IMAGE,
    )
}

fn image(batch: usize, seed: u64) -> Tensor {
    let [c, h, w] = IMAGE;
    random::normal(seed, (batch, c, h, w), DType::F64, &Device::Cpu).unwrap()
}

#[test]
fn levels_are_a_bijection() {
    let params = ParamStore::new(1);
    let flow = levels(&params.builder(DType::F64, &Device::Cpu)).unwrap();
    check::randomize(&params, 2, 0.2).unwrap();
    let x = image(3, 3);
    let all = || {
        let (y, log_det) = flow.forward(&x)?;
        assert_eq!((y.dims(), log_det.dims()), (&[3, 64][..], &[3][..]));
        check::close(&flow.inverse(&y)?, &x, 1e-10)?;
        let (back, inverse_log_det) = flow.inverse_with_log_det(&y)?;
        check::close(&back, &x, 1e-10)?;
        check::close(&inverse_log_det.neg()?, &log_det, 1e-10)?;
        check::log_det(&flow, &x, 1e-9)?;
        check::gradients(&flow, &params, &x, 1e-9)?;
        let frozen = flow.frozen(&Rows::all(3))?;
        check::close(&frozen.forward(&x)?.0, &y, 0.0)?;
        check::close(&frozen.inverse(&y)?, &x, 1e-10)
    };
    all().unwrap();
    device::rehearse(all).unwrap();
}

#[test]
fn latents_leave_level_by_level() {
    let params = ParamStore::new(1);
    let flow = levels(&params.builder(DType::F64, &Device::Cpu)).unwrap();
    check::randomize(&params, 2, 0.2).unwrap();
    let x = image(2, 4);
    let outputs = flow.outputs(&x).unwrap();
    let [first, second] = flow.levels() else {
        panic!("there are two levels");
    };
    let y = first.forward(&x).unwrap().0;
    let halves = [0, 4].map(|start| y.narrow(1, start, 4).unwrap());
    check::close(outputs[0].passed_on.as_ref().unwrap(), &halves[0], 0.0).unwrap();
    check::close(&outputs[0].latent, &halves[1], 0.0).unwrap();
    let top = second.forward(&halves[0]).unwrap().0;
    check::close(&outputs[1].latent, &top, 0.0).unwrap();
    assert!(outputs[1].passed_on.is_none());
    let latents = flow.latent_shapes();
    assert_eq!(latents.iter().collect::<Vec<_>>(), [[4, 2, 4], [16, 1, 2]]);
    let rows = flow.forward(&x).unwrap().0;
    let split = latents.split(&rows).unwrap();
    check::close(&split[0], &halves[1], 0.0).unwrap();
    check::close(&split[1], &top, 0.0).unwrap();
    check::close(&latents.join(&split).unwrap(), &rows, 0.0).unwrap();
}

#[test]
fn images_of_another_size_are_refused() {
    let params = ParamStore::new(1);
    let flow = levels(&params.builder(DType::F64, &Device::Cpu)).unwrap();
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F64, &Device::Cpu).unwrap();
    for wrong in [&[1, 2, 4, 4][..], &[1, 1, 4, 8], &[2, 4, 8], &[1, 64]] {
        assert!(flow.forward(&zeros(wrong)).is_err(), "{wrong:?}");
    }
    for wrong in [&[1, 63][..], &[64], &[1, 2, 4, 8]] {
        assert!(flow.inverse(&zeros(wrong)).is_err(), "{wrong:?}");
    }
    let none = zeros(&[0, 2, 4, 8]);
    let (y, log_det) = flow.forward(&none).unwrap();
    assert_eq!((y.dims(), log_det.dims()), (&[0, 64][..], &[0][..]));
    assert_eq!(flow.inverse(&y).unwrap().dims(), none.dims());
    for image in [[2, 4, 6], [2, 2, 8]] {
        let levels = vec![Squeeze, Squeeze];
        assert!(MultiScale::new(levels, image).is_err(), "{image:?}");
    }
    assert!(MultiScale::<Squeeze>::new(Vec::new(), IMAGE).is_err());
}

/// x + c, with the context c `[B, C, 1, 1]`.
struct Shift(usize);

impl Bijection for Shift {
    fn forward(&self, _: &Tensor) -> Result<(Tensor, Tensor)> {
        bail!("shift: needs a context")
    }

    fn inverse(&self, _: &Tensor) -> Result<Tensor> {
        bail!("shift: needs a context")
    }

    fn context(&self) -> Option<usize> {
        Some(self.0)
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        let scale = Tensor::zeros(1, context.dtype(), context.device())?;
        Ok(Box::new(Whiten::new(context.neg()?, scale)))
    }
}

/// Levels and parts without a context stay as they are beside those with one.
#[test]
fn a_context_binds_the_levels_that_take_one() {
    let level = |shift: Option<Shift>| {
        let mut parts: Vec<Box<dyn Bijection>> = vec![Box::new(Squeeze)];
        parts.extend(shift.map(|shift| Box::new(shift) as Box<dyn Bijection>));
        Chain::new(parts).unwrap()
    };
    let plain = MultiScale::new(vec![level(None), level(None)], IMAGE).unwrap();
    let flow = MultiScale::new(vec![level(None), level(Some(Shift(16)))], IMAGE).unwrap();
    let x = image(2, 5);
    let context = random::normal(6, (2, 16, 1, 1), DType::F64, &Device::Cpu).unwrap();
    assert!(flow.forward(&x).is_err());
    let given = flow.given(&context).unwrap();
    let split = |rows: &Tensor| flow.latent_shapes().split(rows).unwrap();
    let found = split(&given.forward(&x).unwrap().0);
    let expected = split(&plain.forward(&x).unwrap().0);
    check::close(&found[0], &expected[0], 0.0).unwrap();
    let shifted = expected[1].broadcast_add(&context).unwrap();
    check::close(&found[1], &shifted, 1e-15).unwrap();
    assert!(plain.given(&context).is_err());
}
