//! Couplings and autoregressive layers of angles beside other numbers.

use crate::params::ParamBuilder;
use crate::{
    Autoregressive, Coupling, IntervalSpline, Mlp, MlpSize, Passing, PerChannel, PeriodicFeatures,
    Result, Transform,
};
use candle_core::bail;

/// The transforms of `numbers`: `circle` of those in `angles`, `line` of the others.
fn transforms(
    numbers: &[usize],
    angles: &[usize],
    circle: IntervalSpline,
    line: impl Transform + 'static,
) -> Result<PerChannel> {
    let (on_circle, on_line) = (0..numbers.len()).partition(|&at| angles.contains(&numbers[at]));
    PerChannel::new(vec![
        (Box::new(circle), on_circle),
        (Box::new(line), on_line),
    ])
}

/// # Errors
/// If an angle is not below `features`.
fn check(features: usize, angles: &[usize]) -> Result<()> {
    match angles.iter().find(|angle| **angle >= features) {
        Some(angle) => bail!("mixed: got an angle {angle}, needed one below {features}"),
        None => Ok(()),
    }
}

impl Coupling<PerChannel, PeriodicFeatures<Mlp>> {
    /// A coupling of `features` numbers, of which those in `angles` lie on the interval of
    /// `circle`: they move by that spline, and enter the network as cosine and sine. The others
    /// move by `line`. Parameters as in [`Mlp::new`].
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use flow_core::{Coupling, IntervalSpline, MlpSize, Passing, Spline, params::ParamStore};
    ///
    /// let params = ParamStore::new(0).builder(DType::F32, &Device::Cpu);
    /// let (circle, line, size) = (IntervalSpline::circle(), Spline::default(), MlpSize::default());
    /// let layer = Coupling::mixed(5, &[0, 3], circle, line, Passing::Even, size, params)?;
    /// # candle_core::Result::Ok(())
    /// ```
    ///
    /// # Errors
    /// If there are fewer than two numbers, or an angle is none of them.
    pub fn mixed(
        features: usize,
        angles: &[usize],
        circle: IntervalSpline,
        line: impl Transform + 'static,
        passing: Passing,
        size: MlpSize,
        params: ParamBuilder,
    ) -> Result<Self> {
        let order = order(features, passing);
        let moves = &order[passing.count(features)..];
        let transform = transforms(moves, angles, circle, line)?;
        let period = circle.high - circle.low;
        Self::periodic(features, angles, period, transform, passing, size, params)
    }
}

impl<T: Transform> Coupling<T, PeriodicFeatures<Mlp>> {
    /// A coupling of `features` numbers by any `transform` of those that do not pass. Those in
    /// `angles` have this `period`: if they pass, they enter the network as cosine and sine.
    /// Parameters as in [`Mlp::new`].
    ///
    /// # Errors
    /// If there are fewer than two numbers, or an angle is none of them.
    pub fn periodic(
        features: usize,
        angles: &[usize],
        period: f64,
        transform: T,
        passing: Passing,
        size: MlpSize,
        params: ParamBuilder,
    ) -> Result<Self> {
        check(features, angles)?;
        if features < 2 {
            bail!("coupling: needs at least 2 numbers, not {features}");
        }
        let passes = passing.count(features);
        let order = order(features, passing);
        let seen = (0..passes).filter(|&at| angles.contains(&order[at]));
        let seen = seen.collect::<Vec<_>>();
        let inputs = passes + seen.len();
        let network = Mlp::for_transform(&transform, inputs, features - passes, size, params)?;
        let network = PeriodicFeatures::new(passes, &seen, period, network)?;
        Ok(Self::new(transform, passing, network))
    }
}

/// All numbers, those first that pass.
fn order(features: usize, passing: Passing) -> Vec<usize> {
    let order = passing.order(features).into_iter();
    order.map(|at| at as usize).collect()
}

impl Autoregressive<PerChannel, PeriodicFeatures<Mlp>> {
    /// An autoregressive layer of `features` numbers in order, of which those in `angles` lie on
    /// the interval of `circle`: they move by that spline, and enter the network as cosine and
    /// sine. The others move by `line`. Parameters as in [`Mlp::new`].
    ///
    /// # Errors
    /// If an angle is none of the numbers, or as [`Mlp::made`].
    pub fn mixed(
        features: usize,
        angles: &[usize],
        circle: IntervalSpline,
        line: impl Transform + 'static,
        size: MlpSize,
        params: ParamBuilder,
    ) -> Result<Self> {
        let order = (0..features).collect::<Vec<_>>();
        let transform = transforms(&order, angles, circle, line)?;
        let period = circle.high - circle.low;
        Self::periodic(features, angles, period, transform, size, params)
    }
}

impl<T: Transform> Autoregressive<T, PeriodicFeatures<Mlp>> {
    /// An autoregressive layer of `features` numbers in order by any `transform`. Those in `angles`
    /// have this `period`: they enter the network as cosine and sine. Parameters as in
    /// [`Mlp::new`].
    ///
    /// # Errors
    /// If an angle is none of the numbers, or as [`Mlp::made`].
    pub fn periodic(
        features: usize,
        angles: &[usize],
        period: f64,
        transform: T,
        size: MlpSize,
        params: ParamBuilder,
    ) -> Result<Self> {
        check(features, angles)?;
        let order = (0..features).collect::<Vec<_>>();
        // The number that each input is of, as `PeriodicFeatures` arranges them.
        let others = order.iter().filter(|number| !angles.contains(number));
        let inputs = others.chain(angles).chain(angles).copied();
        let inputs = inputs.collect::<Vec<_>>();
        let network = Mlp::made_of(&transform, &order, &inputs, size, params)?;
        let network = PeriodicFeatures::new(features, angles, period, network)?;
        Self::with_network(&order, transform, network)
    }
}
