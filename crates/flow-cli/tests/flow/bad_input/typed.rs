//! Words that a command does not take.

use super::typed;
use crate::sandbox::Sandbox;

/// Commands with options or values that do not exist.
const TYPED: &str = "
    paint
    --paint
    train now
    train --steps
    train --steps 0
    train --steps 257
    train --steps 1.5
    train --steps -1
    train --steps one
    train --levels 0
    train --levels 17
    train --width 0
    train --width 8193
    train --width 99999999999999999999
    train --bits 0
    train --bits 9
    train --lr 0
    train --lr -1
    train --lr nan
    train --lr inf
    train --lr fast
    train --clip-norm 0
    train --average-decay 1
    train --average-decay -0.1
    train --warmup-steps -1
    train --batch-size 0
    train --batch-size 65537
    train --epochs 0
    train --epochs -1
    train --max-steps 0
    train --max-steps 1e3
    train --time-limit 15
    train --time-limit 0s
    train --time-limit soon
    train --preset huge
    train --coupling cubic
    train --scale-map linear
    train --preprocessing none
    train --optimizer sgd
    train --dataset imagenet
    train --device gpu
    train --device cuda:x
    train --seed -1
    train --seed 18446744073709551616
    train --resume --overwrite
    train --resume --from run/model.safetensors
    train --resume --from
    train --from a --from b
    train --eval-images 0
    train --classes 3
    train --threads 0
    train --threads 1025
    train --out a --out b
    eval run/model.safetensors
    eval --checkpoint
    eval --checkpoint run/model.safetensors --limit 0
    eval --checkpoint run/model.safetensors --limit -5
    eval --checkpoint run/model.safetensors --split all
    eval --checkpoint run/model.safetensors --dataset letters
    eval --checkpoint run/model.safetensors --seed x
    eval --checkpoint run/model.safetensors --temperature 1
    eval --checkpoint run/model.safetensors --importance-samples 0
    eval --checkpoint run/model.safetensors --importance-samples 10001
    sample --checkpoint run/model.safetensors --count 0
    sample --checkpoint run/model.safetensors --count 10001
    sample --checkpoint run/model.safetensors --count -3
    sample --checkpoint run/model.safetensors --temperature -0.5
    sample --checkpoint run/model.safetensors --temperature nan
    sample --checkpoint run/model.safetensors --temperature warm
    sample --checkpoint run/model.safetensors --temperature 0.5,
    sample --checkpoint run/model.safetensors --temperature 0.5,-1
    sample --checkpoint run/model.safetensors --animate dance
    sample --checkpoint run/model.safetensors --animate walk --out-tensor a.safetensors
    sample --checkpoint run/model.safetensors --animate walk --frames 0
    inspect
    inspect run/model.safetensors run/model.safetensors
    inspect --checkpoint run/model.safetensors
    verify
    verify run/model.safetensors --limit 0
    verify run/model.safetensors --dataset letters
    bench run
    bench --iters 0
    bench --iters 10001
    bench --batch-size 0
    bench --batch-size 65537
    bench --size 0
    bench --channels 0
    bench --channels -1
";

/// Each row is refused with what it is and what it should be, in clap's words.
#[test]
fn what_is_typed_wrong() {
    let sandbox = Sandbox::with_everything_wrong();
    insta::assert_snapshot!("typed", typed(&sandbox, TYPED));
}

#[test]
fn what_is_typed_wrong_about_outliers() {
    let sandbox = Sandbox::with_everything_wrong();
    let rows = "
        train --mutate 1
        train --mutate -0.1
        train --mutate nan
        density
        density --checkpoint run/model.safetensors
        density --checkpoint run/model.safetensors grey.png --importance-samples 0
        density --checkpoint run/model.safetensors grey.png --seed x
        density --checkpoint run/model.safetensors grey.png --dataset mnist
        outliers
        outliers --checkpoint run/model.safetensors
        outliers --checkpoint run/model.safetensors --against letters
        outliers --checkpoint run/model.safetensors --against mnist grey.png
        outliers --checkpoint run/model.safetensors --against mnist --score beauty
        outliers --checkpoint run/model.safetensors --against mnist --score likelihood,
        outliers --checkpoint run/model.safetensors --against mnist --compressor rar
        outliers --checkpoint run/model.safetensors --against mnist --bootstrap 0
        outliers --checkpoint run/model.safetensors --against mnist --batch 0
        outliers --checkpoint run/model.safetensors --against mnist --typical-images 0
        outliers --checkpoint run/model.safetensors --against mnist --limit 0
        outliers --checkpoint run/model.safetensors --rank 0
        outliers --checkpoint run/model.safetensors --rank 10001
        outliers --checkpoint run/model.safetensors --rank 5 --threshold-quantile 0.9
        outliers --checkpoint run/model.safetensors --threshold-quantile 1
        outliers --checkpoint run/model.safetensors --threshold-quantile -0.1
        outliers --checkpoint run/model.safetensors --threshold-quantile nan
    ";
    insta::assert_snapshot!("typed_outliers", typed(&sandbox, rows));
}

#[test]
fn what_is_typed_wrong_about_latent_space() {
    let sandbox = Sandbox::with_everything_wrong();
    let rows = "
        interpolate --checkpoint run/model.safetensors
        interpolate --checkpoint run/model.safetensors --from 1
        interpolate --checkpoint run/model.safetensors --from 1 --to x
        interpolate --checkpoint run/model.safetensors --from -1 --to 2
        interpolate --checkpoint run/model.safetensors --from 1 --to 2 --steps 1
        interpolate --checkpoint run/model.safetensors --from 1 --to 2 --steps 1001
        interpolate --checkpoint run/model.safetensors --from 1 --to 2 --at 1.5
        interpolate --checkpoint run/model.safetensors --from 1 --to 2 --at 0.5 --steps 3
        interpolate --checkpoint run/model.safetensors --images a.png
        explore a b
        explore --port 65536
        explore --port -1
        explore --fit fill
        explore --dataset nowhere
        interpolate --checkpoint run/model.safetensors --images a.png b.png --from 1 --to 2
        edit --checkpoint run/model.safetensors --index 1
        edit --checkpoint run/model.safetensors --attribute slant
        edit --checkpoint run/model.safetensors --attribute slant --index 1 --strength two
        edit --checkpoint run/model.safetensors --attribute slant --index 1 --redraw 0
        edit --checkpoint run/model.safetensors --index 1 --redraw x
        edit --checkpoint run/model.safetensors --attribute slant --index 1 --temperature 1
        edit --checkpoint run/model.safetensors --attribute slant --index 1 --strength 0..nan
        edit --checkpoint run/model.safetensors --attribute slant --index 1 --strength 0..1e99
        edit --checkpoint run/model.safetensors --attribute slant --index 1 --examples 0
        cluster --checkpoint run/model.safetensors --method guess
        cluster --checkpoint run/model.safetensors --clusters 0
        cluster --checkpoint run/model.safetensors --components 129
    ";
    insta::assert_snapshot!("typed_latent_space", typed(&sandbox, rows));
}
