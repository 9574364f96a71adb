//! A linear layer with weights in eight bits.
//!
//! candle chooses its kernels for quantised weights when it is compiled, and a build for any x86-64 gets the slowest.
//! Here the choice is made when the program runs, so that a plain build is a fast one: single rows (an answer's
//! tokens) are bound by memory and multiplied in eight bits; many rows (a prompt) are bound by arithmetic, so the
//! weights are widened for a moment and candle's product of matrices, which chooses at run time too, does the rest.

mod kernel;

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, bail};
use kernel::BLOCK;
use rayon::prelude::*;

/// Rows of weights that one thread takes at a time.
const SHARE: usize = 64;
/// From this many rows of activations on, widening the weights pays.
const MANY: usize = 8;

/// Weights of shape (outputs, inputs).
#[derive(Debug)]
pub(crate) struct Linear {
    inputs: usize,
    outputs: usize,
    values: Vec<i8>,
    scales: Vec<f32>,
}

impl Linear {
    /// Rounds the weights of `tensor`, of shape (outputs, inputs).
    pub(crate) fn new(tensor: &Tensor) -> Result<Self> {
        let (outputs, inputs) = tensor.dims2()?;
        if !inputs.is_multiple_of(BLOCK) {
            bail!("rows of {inputs} weights, not a multiple of {BLOCK}");
        }
        let weights: Vec<f32> = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        let (values, scales) = quantised(&weights);
        Ok(Self { inputs, outputs, values, scales })
    }

    /// The product with each row of `x`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let rows = x.elem_count() / self.inputs;
        if rows < MANY {
            return x.contiguous()?.apply_op1_no_bwd(&Few(self));
        }
        let mut dims = x.dims().to_vec();
        let Some(last) = dims.last_mut() else { bail!("activations without a dimension") };
        *last = self.outputs;
        x.reshape((rows, self.inputs))?.matmul(&self.widened()?.t()?)?.reshape(dims)
    }

    /// The weights as numbers, one row for each of `rows`.
    pub(crate) fn rows(&self, rows: &[u32]) -> Result<Tensor> {
        let blocks = self.inputs / BLOCK;
        let mut weights = vec![0.0; rows.len() * self.inputs];
        for (row, to) in rows.iter().zip(weights.chunks_exact_mut(self.inputs)) {
            let row = *row as usize;
            let Some(values) = self.values.get(row * self.inputs..(row + 1) * self.inputs) else {
                bail!("no row {row} in {} rows", self.outputs)
            };
            kernel::dequantise(values, &self.scales[row * blocks..(row + 1) * blocks], to);
        }
        Tensor::from_vec(weights, (rows.len(), self.inputs), &Device::Cpu)
    }

    fn widened(&self) -> Result<Tensor> {
        let mut weights = vec![0.0; self.values.len()];
        let shares = self
            .values
            .par_chunks(SHARE * self.inputs)
            .zip(self.scales.par_chunks(SHARE * self.inputs / BLOCK));
        shares
            .zip(weights.par_chunks_mut(SHARE * self.inputs))
            .for_each(|((values, scales), to)| kernel::dequantise(values, scales, to));
        Tensor::from_vec(weights, (self.outputs, self.inputs), &Device::Cpu)
    }

    /// The product with `x`, which holds few rows.
    fn product(&self, x: &[f32]) -> Vec<f32> {
        let rows = x.len() / self.inputs;
        let (values, scales) = quantised(x);
        let mut results = vec![0.0; self.outputs * rows];
        let weights = self
            .values
            .par_chunks(SHARE * self.inputs)
            .zip(self.scales.par_chunks(SHARE * self.inputs / BLOCK));
        weights
            .zip(results.par_chunks_mut(SHARE * rows))
            .for_each(|(weights, to)| kernel::products(self.inputs, weights, (&values, &scales), to));
        transposed(results, rows)
    }
}

fn quantised(from: &[f32]) -> (Vec<i8>, Vec<f32>) {
    let (mut values, mut scales) = (vec![0; from.len()], vec![0.0; from.len() / BLOCK]);
    let shares = values.par_chunks_mut(SHARE * BLOCK).zip(scales.par_chunks_mut(SHARE));
    shares
        .zip(from.par_chunks(SHARE * BLOCK))
        .for_each(|((values, scales), from)| kernel::quantise(from, values, scales));
    (values, scales)
}

/// Turns columns of `rows` numbers into rows.
fn transposed(columns: Vec<f32>, rows: usize) -> Vec<f32> {
    if rows == 1 {
        return columns;
    }
    let width = columns.len() / rows;
    (0..columns.len()).map(|i| columns[(i % width) * rows + i / width]).collect()
}

/// The product with few rows, as candle wants it.
struct Few<'a>(&'a Linear);

impl CustomOp1 for Few<'_> {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else { bail!("activations are not contiguous") };
        let mut dims = layout.dims().to_vec();
        match dims.last_mut() {
            Some(last) if *last == self.0.inputs => *last = self.0.outputs,
            _ => bail!("activations of shape {dims:?} for a layer of {} inputs", self.0.inputs),
        }
        Ok((CpuStorage::F32(self.0.product(&storage.as_slice::<f32>()?[start..end])), Shape::from(dims)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_and_many_have_the_same_product() {
        let tensor = |rows: usize, seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            let values: Vec<f32> = (0..rows * 64).map(|_| random.f32() - 0.5).collect();
            Tensor::from_vec(values, (rows, 64), &Device::Cpu).unwrap()
        };
        let (layer, x) = (Linear::new(&tensor(100, 1)).unwrap(), tensor(MANY, 2));
        let many = layer.forward(&x).unwrap();
        let few = [(0, 1), (1, MANY - 1)]
            .map(|(from, rows)| layer.forward(&x.narrow(0, from, rows).unwrap()).unwrap());
        let few = Tensor::cat(&few, 0).unwrap();
        assert_eq!((many.dims(), few.dims()), (&[MANY, 100][..], &[MANY, 100][..]));
        let most: f32 = (many - few).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap();
        assert!(most < 0.02, "{most}");
    }

    #[test]
    fn wrong_sizes_are_errors() {
        let zeros =
            |rows: usize, width: usize| Tensor::zeros((rows, width), DType::F32, &Device::Cpu).unwrap();
        assert!(Linear::new(&zeros(4, 40)).is_err());
        let layer = Linear::new(&zeros(4, 64)).unwrap();
        assert!(layer.forward(&zeros(1, 32)).is_err());
        assert!(layer.rows(&[4]).is_err());
    }
}
