//! Training objective: bits per dimension and, with classes, the cross-entropy of their posterior.

use crate::model::Glow;
use crate::{Result, quantize};
use candle_core::{Device, Tensor};
use flow_core::Bijection;
use flow_core::distribution::log_sum_exp;
use flow_core::params::ParamStore;
use flow_core::train::Data;

/// A model in training.
pub(super) struct Fitted<'a> {
    /// The model whose outputs record a graph.
    pub(super) trainable: &'a Glow,
    /// The model of the same weights without a graph.
    pub(super) frozen: &'a Glow,
    pub(super) params: &'a ParamStore,
    pub(super) device: &'a Device,
    pub(super) objective: Objective,
}

/// Contribution of a run of images to the means over its batch.
pub(super) struct Share {
    /// Share of the bits per dimension.
    pub(super) bits_per_dim: Tensor,
    /// Share of the loss.
    pub(super) loss: Tensor,
}

/// The objective of a batch of `count` images.
#[derive(Clone, Copy)]
pub(super) struct Objective {
    pub(super) count: usize,
    /// The weight of −ln p(class | image) relative to −ln p(image | class), if it is not 0.
    pub(super) classification: f64,
}

impl Objective {
    /// Share of a run whose levels gave `y` `[B, D]`. `log_det` `[B]` covers everything before it.
    /// The contexts of `data` are in the flow's form.
    pub(super) fn share(
        self,
        model: &Glow,
        data: &Data,
        y: &Tensor,
        log_det: &Tensor,
    ) -> Result<Share> {
        let (z, prior_log_det) = data.given(model.priors())?.forward(y)?;
        let log_likelihood = model.base().add_log_prob(&(log_det + prior_log_det)?, &z)?;
        let bits_per_dim = self.mean(model, &log_likelihood)?;
        let mut loss = bits_per_dim.clone();
        if self.classification > 0.0 {
            let of_classes = model.class_log_priors(y)?;
            let own = of_classes.gather(data.context()?, 1)?.squeeze(1)?;
            let log_posterior = (own - log_sum_exp(&of_classes)?)?;
            loss = (loss + (self.mean(model, &log_posterior)? * self.classification)?)?;
        }
        Ok(Share { bits_per_dim, loss })
    }

    /// Nats of each image `[B]` → their contribution to the mean, in bits per dimension.
    fn mean(self, model: &Glow, nats: &Tensor) -> candle_core::Result<Tensor> {
        quantize::bits_per_dim(model.config(), nats)?.sum_all()? / self.count as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conventions, GlowConfig, ImageShape, PriorForm};
    use candle_core::DType;
    use flow_core::{check, random};
    use std::f64::consts::LN_2;

    /// A random model of three classes.
    fn model(split_prior: PriorForm, top_prior: PriorForm) -> Glow {
        let config = GlowConfig {
            steps: 1,
            width: 6,
            classes: Some(3),
            conventions: Conventions {
                split_prior,
                top_prior,
                ..Conventions::default()
            },
            ..GlowConfig::small(ImageShape::new(1, 8, 8))
        };
        let params = ParamStore::new(0);
        let model = Glow::new(&config, params.builder(DType::F64, &Device::Cpu)).unwrap();
        check::randomize(&params, 1, 0.2).unwrap();
        model
    }

    /// ln p(x | class) of each image, by class.
    fn likelihoods(model: &Glow, x: &Tensor) -> Vec<Vec<f64>> {
        let of_class = |class: u32| {
            let labels = Tensor::full(class, 4, &Device::Cpu).unwrap();
            let log_prob = model.given(&labels).unwrap().log_prob(x).unwrap();
            log_prob.to_vec1().unwrap()
        };
        (0..3).map(of_class).collect()
    }

    #[test]
    fn classes_are_told_apart_by_the_likelihoods_they_give() {
        for (split_prior, top_prior) in [
            (PriorForm::Convolution, PriorForm::Channel),
            (PriorForm::Element, PriorForm::Element),
        ] {
            let model = model(split_prior, top_prior);
            let x = random::normal(2, (4, 1, 8, 8), DType::F64, &Device::Cpu).unwrap();
            let labels = [2_u32, 0, 1, 1];
            let likelihoods = likelihoods(&model, &x);
            let of_own = |image: usize| likelihoods[labels[image] as usize][image];
            let log_posterior = |image: usize| {
                let ratios = likelihoods.iter().map(|of| of[image] - of_own(image));
                -ratios.map(f64::exp).sum::<f64>().ln()
            };

            let objective = Objective {
                count: 10,
                classification: 7.0,
            };
            let (y, log_det) = model.levels().forward(&x).unwrap();
            let own = Tensor::new(&labels, &Device::Cpu).unwrap();
            let data = model.with_contexts(Data::from((&x, &own))).unwrap();
            let share = objective.share(&model, &data, &y, &log_det).unwrap();
            let nats_of_ten_images = 10.0 * 64.0 * LN_2;
            let bits = (0..4).map(|image| -of_own(image)).sum::<f64>() / nats_of_ten_images;
            let unsure = (0..4).map(|image| -log_posterior(image)).sum::<f64>();
            let loss = bits + 7.0 * unsure / nats_of_ten_images;
            for (actual, expected) in [(share.bits_per_dim, bits), (share.loss, loss)] {
                let actual = actual.to_scalar::<f64>().unwrap();
                assert!((actual - expected).abs() < 1e-12, "{actual} {expected}");
            }
            let posteriors = model.class_log_posteriors(&x).unwrap();
            let posteriors = posteriors.to_vec2::<f64>().unwrap();
            for (image, &label) in labels.iter().enumerate() {
                let actual = posteriors[image][label as usize];
                assert!((actual - log_posterior(image)).abs() < 1e-10);
            }
        }
    }
}
