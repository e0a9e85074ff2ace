//! Coupling layers: some channels pass unchanged and determine the transform of the others.

mod passing;

pub use passing::Passing;

use crate::runs::Rows;
use crate::{Bijection, Conditioner, Gradients, Result, Transform, shape};
use candle_core::{Tensor, Var, bail};
use passing::Arrangement;

/// A coupling layer on `[B, C, …]`, images or vectors: some channels pass unchanged and determine
/// the transform of the others.
///
/// ```text
/// x₁, x₂ = split(x);  h = network(x₁)
/// y₁ = x₁; y₂ = transform(x₂; h);  every channel stays where it was
/// ```
///
/// Densities and samples take one pass of the network each. Dinh, Krueger & Bengio 2015
/// (arXiv:1410.8516); Dinh, Sohl-Dickstein & Bengio 2017 (arXiv:1605.08803); with splines Durkan,
/// Bekasov, Murray & Papamakarios 2019 (arXiv:1906.04032). Glow's published code shifts first, and
/// its first half passes (Kingma & Dhariwal 2018, arXiv:1807.03039); others differ.
///
/// ```
/// use candle_core::{DType, Device};
/// use flow_core::{Coupling, Mlp, MlpSize, Spline, params::ParamStore};
///
/// let (spline, params) = (Spline::default(), ParamStore::new(0));
/// let params = params.builder(DType::F32, &Device::Cpu);
/// let network = Mlp::for_transform(spline, 1, 2, MlpSize::default(), params)?;
/// let layer = Coupling::masked(spline, &[false, true, false], network)?;
/// # candle_core::Result::Ok(())
/// ```
pub struct Coupling<T, N> {
    transform: T,
    passing: Arrangement,
    network: N,
}

impl<T: Transform, N: Conditioner> Coupling<T, N> {
    /// A coupling by `transform`, whose parameters `network` predicts from the channels `passing`.
    pub fn new(transform: T, passing: Passing, network: N) -> Self {
        Self {
            transform,
            passing: Arrangement::new(passing),
            network,
        }
    }

    /// A coupling by `transform` in which the channels pass for which `mask` is true. `network`
    /// predicts the parameters of the others from them.
    ///
    /// # Errors
    /// If all channels pass, or none does.
    pub fn masked(transform: T, mask: &[bool], network: N) -> Result<Self> {
        if !(mask.contains(&true) && mask.contains(&false)) {
            bail!(
                "coupling: of {} channels some must pass, and some must not",
                mask.len()
            );
        }
        Ok(Self {
            transform,
            passing: Arrangement::masked(mask),
            network,
        })
    }

    /// The same coupling with another network.
    fn with<M>(&self, network: M) -> Coupling<&dyn Transform, M> {
        Coupling {
            transform: &self.transform,
            passing: self.passing.clone(),
            network,
        }
    }

    /// x with the passing channels first, and those channels alone, the network's input.
    fn split(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        shape::batch("coupling", x)?;
        if let Some([passing, parameters]) = self.network.sizes() {
            let moved = parameters / self.transform.parameters().max(1);
            shape::channels("coupling", x, passing + moved)?;
        }
        if let Some(channels) = self.passing.channels() {
            shape::channels("coupling", x, channels)?;
        }
        let channels = x.dim(1)?;
        if channels < 2 {
            bail!("coupling: {channels} channels cannot be split, at least 2 are needed");
        }
        let x = self.passing.arrange(x)?;
        let x1 = x.narrow(1, 0, self.passing.count(channels))?;
        Ok((x, x1))
    }

    /// Checks that the network's `h` has the parameters of all transformed channels of `x`.
    fn fitting(&self, x: &Tensor, h: Tensor) -> Result<Tensor> {
        let channels = x.dim(1)?;
        let moved = channels - self.passing.count(channels);
        let needed = moved * self.transform.parameters();
        if h.rank() < 2 || h.dim(1)? != needed {
            bail!(
                "coupling: got parameters of shape {:?} from the network, needed [B, {needed}, …] \
                 to move {moved} of {channels} channels",
                h.dims()
            );
        }
        Ok(h)
    }

    /// y with the passing channels first, and the network's `h`, which are those of x.
    fn arranged_and_parameters(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        let (y, y1) = self.split(y)?;
        let h = self.fitting(&y, self.network.forward(&y1)?)?;
        Ok((y, h))
    }

    /// y of images `[B, C, H, W]`, and ln|det ∂y/∂x| as a sum over places, `[B, H, W]`: given the
    /// passing channels, each place is transformed by itself.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward_by_place(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (b, _, height, width) = x.dims4()?;
        let (x, x1) = self.split(x)?;
        let h = self.fitting(&x, self.network.forward(&x1)?)?;
        // A place becomes a sample, whose log-determinant a transform gives.
        let by_place = |x: &Tensor| {
            let rows = (b * height * width, x.dim(1)?, 1, 1);
            x.permute((0, 2, 3, 1))?.contiguous()?.reshape(rows)
        };
        let (_, log_det) = self
            .transform
            .forward_last(&by_place(&x)?, &by_place(&h)?)?;
        let (y, _) = self.transformed(&x, h)?;
        Ok((y, log_det.reshape((b, height, width))?))
    }

    fn transformed(&self, x: &Tensor, h: Tensor) -> Result<(Tensor, Tensor)> {
        let (y, log_det) = self.transform.forward_last(x, &self.fitting(x, h)?)?;
        Ok((self.passing.restore(&y)?, log_det))
    }
}

impl<T: Transform, N: Conditioner> Bijection for Coupling<T, N> {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (x, x1) = self.split(x)?;
        self.transformed(&x, self.network.forward(&x1)?)
    }

    fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let (y, h) = self.arranged_and_parameters(y)?;
        self.passing.restore(&self.transform.inverse_last(&y, &h)?)
    }

    /// Evaluates the network once for both, because its input passes unchanged.
    fn inverse_with_log_det(&self, y: &Tensor) -> Result<(Tensor, Tensor)> {
        let (y, h) = self.arranged_and_parameters(y)?;
        let (x, log_det) = self.transform.inverse_last_with_log_det(&y, &h)?;
        Ok((self.passing.restore(&x)?, log_det))
    }

    fn initialize(&self, x: &Tensor) -> Result<Tensor> {
        let (x, x1) = self.split(x)?;
        let h = self.network.initialize(&x1)?;
        Ok(self.transformed(&x, h)?.0.detach())
    }

    /// Evaluates the network once, both to invert and to differentiate, because its input passes
    /// unchanged.
    fn backward(
        &self,
        y: &Tensor,
        grad_y: &Tensor,
        grad_log_det: &Tensor,
        grads: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        if y.dims().first() == Some(&0) {
            self.split(y)?;
            return Ok((y.clone(), grad_y.clone()));
        }
        let (y, y1) = self.split(&y.detach())?;
        let x1 = Var::from_tensor(&y1)?;
        let h = self.fitting(&y, self.network.forward(x1.as_tensor())?)?;
        let x = self.transform.inverse_last(&y, &h.detach())?;
        let (passing, channels) = (x1.dim(1)?, x.dim(1)?);
        let x2 = Var::from_tensor(&x.narrow(1, passing, channels - passing)?)?;
        let arranged = Tensor::cat(&[x1.as_tensor(), x2.as_tensor()], 1)?;
        let (y, log_det) = self.transform.forward_last(&arranged, &h)?;
        let grad_y = self.passing.arrange(grad_y)?;
        let outputs = [(&y, &grad_y), (&log_det, grad_log_det)];
        let [grad_x1, grad_x2] = grads.pull_back(&outputs, [&x1, &x2])?;
        let grad_x = self
            .passing
            .restore(&Tensor::cat(&[grad_x1, grad_x2], 1)?)?;
        Ok((self.passing.restore(&x)?, grad_x))
    }

    fn context(&self) -> Option<usize> {
        self.network.context()
    }

    fn given(&self, context: &Tensor) -> Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(self.with(self.network.given(context)?)))
    }

    fn in_training(&self, seed: u64) -> Result<Option<Box<dyn Bijection + '_>>> {
        let network = self.network.in_training(seed)?;
        Ok(network.map(|network| Box::new(self.with(network)) as _))
    }

    fn frozen(&self, rows: &Rows) -> Result<Box<dyn Bijection + '_>> {
        Ok(Box::new(self.with(self.network.frozen(rows)?)))
    }
}
