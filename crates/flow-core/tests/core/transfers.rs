//! Number of copies between host and device in fits of a flow of vectors, rehearsed on the CPU.

use candle_core::{DType, Device};
use flow_core::recipes;
use flow_core::train::{FitSettings, Validation};
use flow_core::transfer;
use flow_core::{device, random};

/// Copies to the device and to the host, of a fit of 128 points in batches of 32.
fn copies(epochs: usize) -> [u64; 2] {
    device::rehearse(|| {
        let points = random::normal(0, (128, 3), DType::F32, &Device::Cpu).unwrap();
        let recipe = recipes::neural_spline_flow(3).layers(3).width(8).blocks(1);
        let model = recipe.build(1, DType::F32, &Device::Cpu).unwrap();
        let settings = FitSettings {
            epochs,
            batch_size: 32,
            validation: Validation::Share(0.0),
            ..FitSettings::default()
        };
        let before = transfer::copies();
        model
            .fit(&points, &settings, |_| std::ops::ControlFlow::Continue(()))
            .unwrap();
        let after = transfer::copies();
        [
            after.to_device - before.to_device,
            after.to_host - before.to_host,
        ]
    })
}

/// The order of the samples goes to the device. The loss and gradient norm of each batch come back,
/// and at the end the loss of the epoch.
#[test]
fn an_epoch_sends_an_order_and_returns_two_numbers_a_batch_and_one_more() {
    let [two, three] = [2, 3].map(copies);
    assert_eq!([three[0] - two[0], three[1] - two[1]], [1, 2 * 4 + 1]);
}
