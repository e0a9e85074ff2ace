//! The integral of the density over a slice of the sampler's range.

use super::{Measured, Model, jacobian};
use crate::Result;
use candle_core::{DType, Device, Tensor};
use flow_core::runs::Rows;
use flow_core::train::Data;
use flow_core::{Bijection, linalg, standard_normal_log_prob};

/// Nodes of the trapezoidal rule in each latent, from −6 to 6 in steps of 1. For a Gaussian the
/// error is 10⁻⁸, of which the tails are 4·10⁻⁹.
const NODES: [f64; 13] = [
    -6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0,
];

/// Half the step of the central differences of `decode`. A smaller one increases rounding; a larger
/// one makes it likelier that a unit of a network switches in between.
const STEP: f64 = 1e-6;

/// Above this number of dimensions one latent is integrated over instead of two.
const MAX_PLANE_DIMENSIONS: usize = 48;

/// |∫ − 1|, where ∫ should be 1:
///
/// ```text
/// x(a, b) = decode(z with z₁ = a, z_D = b)
/// ∫ = ∫∫ p(x(a, b)) · |det ∂decode/∂z| da db / N(z₂ … z_D₋₁; 0, 1)
/// ```
///
/// p is [`Glow::log_prob`](crate::Glow::log_prob); z are the latents of a real image, except that
/// the first and the last run over the plane. The determinant is that of `decode` by central
/// differences, independent of the model's log-determinant and of automatic differentiation. So the
/// integral is 1 only if the density is that of the sampler. It is taken on the smallest crop that
/// the model accepts, where D×D determinants are cheap.
pub(super) fn measure(model: &Model, data: &Data) -> Result<Measured> {
    let image = jacobian::crop(model.config, 1);
    let glow = model.in_f64(image)?;
    let data = data.of(&Rows::new(0..1, data.samples().dim(0)?))?;
    let given = glow.conditioned_on(&data)?;
    let bijection = given.bijection();
    let x = model.crop(data.samples(), image)?;
    let z = bijection.forward(&x)?.0.squeeze(0)?.to_vec1::<f64>()?;
    let last = z.len() - 1;
    let plane = z.len() <= MAX_PLANE_DIMENSIONS;

    let fixed = if plane { &z[1..last] } else { &z[1..] };
    let fixed = Tensor::new(fixed, &Device::Cpu)?.unsqueeze(0)?;
    let log_constant = standard_normal_log_prob(&fixed)?.to_vec1::<f64>()?[0];
    let mut integral = 0.0;
    let columns = if plane { &NODES[..] } else { &z[last..] };
    for &b in columns {
        let line = NODES.map(|a| {
            let mut node = z.clone();
            (node[0], node[last]) = (a, b);
            node
        });
        let log_masses = log_masses(bijection, &line)?.into_iter();
        integral += log_masses
            .map(|log_mass| (log_mass - log_constant).exp())
            .sum::<f64>();
    }
    Ok(Measured {
        value: (integral - 1.0).abs(),
        detail: format!(
            "from 1, over {} of {} latents of a crop of {image}, {} nodes",
            if plane { 2 } else { 1 },
            z.len(),
            NODES.len() * columns.len()
        ),
    })
}

/// ln of p(decode(z)) · |det ∂decode/∂z| at each z.
fn log_masses(bijection: &dyn Bijection, nodes: &[Vec<f64>]) -> Result<Vec<f64>> {
    let dimensions = nodes[0].len();
    // Each node, followed by its two neighbours in every direction.
    let mut points = Vec::new();
    for node in nodes {
        points.push(node.clone());
        for i in 0..dimensions {
            for offset in [STEP, -STEP] {
                let mut neighbour = node.clone();
                neighbour[i] += offset;
                points.push(neighbour);
            }
        }
    }
    let x = bijection.inverse(&Tensor::new(points, &Device::Cpu)?)?;
    let decoded = x.flatten_from(1)?.to_vec2::<f64>()?;
    let (stride, count) = (2 * dimensions + 1, nodes.len());
    let centers = (0..count).map(|node| (node * stride) as u32);
    let x = x.index_select(&Tensor::from_iter(centers, &Device::Cpu)?, 0)?;
    let (z, log_det) = bijection.forward(&x)?;
    let log_prob = (standard_normal_log_prob(&z)? + log_det)?
        .to_dtype(DType::F64)?
        .to_vec1::<f64>()?;
    log_prob
        .into_iter()
        .zip(decoded.chunks(stride))
        .map(|(log_prob, points)| {
            let slope = |(ahead, behind): (&f64, &f64)| (ahead - behind) / (2.0 * STEP);
            let rows = points[1..]
                .chunks(2)
                .map(|pair| pair[0].iter().zip(&pair[1]).map(slope).collect())
                .collect();
            Ok(log_prob + linalg::log_abs_det(&rows)?)
        })
        .collect()
}
