//! The network: Llama's, with weights in eight bits.

use candle_core::{Device, Result, Tensor, bail};
use candle_nn::{
    kv_cache,
    ops::{rms_norm, silu, softmax_last_dim},
    rotary_emb::rope_i,
};

use crate::{Error, gguf, linear::Linear};

/// Positions that a cache grows by.
const GROWTH: usize = 512;

/// The sizes of a network.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    layers: usize,
    width: usize,
    inner: usize,
    heads: usize,
    /// Heads that keys and values have: each serves several heads of the queries.
    key_heads: usize,
    head: usize,
    context: usize,
    words: usize,
}

impl Sizes {
    fn read(file: &gguf::File, words: usize, most: usize) -> std::result::Result<Self, Error> {
        let heads = file.size("llama.attention.head_count", 256)?;
        let width = file.size("llama.embedding_length", 16_384)?;
        let key_heads = file.number("llama.attention.head_count_kv")?.unwrap_or(heads);
        let head = width / heads;
        if key_heads == 0 || heads % key_heads != 0 || head * heads != width || head % 2 != 0 {
            return Err(
                file.unreadable(format!("{heads} heads and {key_heads} for keys do not share {width}"))
            );
        }
        if file.number("llama.rope.dimension_count")?.is_some_and(|turned| turned != head) {
            return Err(file.unsupported("its positions turn a part of each head"));
        }
        if file.number("llama.expert_count")?.is_some_and(|experts| experts > 0) {
            return Err(file.unsupported("it is a mixture of experts"));
        }
        let context = file.size("llama.context_length", usize::MAX)?.min(most);
        let (layers, inner) =
            (file.size("llama.block_count", 256)?, file.size("llama.feed_forward_length", 65_536)?);
        Ok(Self { layers, width, inner, heads, key_heads, head, context, words })
    }
}

#[derive(Debug)]
struct Layer {
    attention_norm: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    inner_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// A network and its weights. Chats share it; what differs between them is in their [`Cache`].
#[derive(Debug)]
pub(crate) struct Llama {
    sizes: Sizes,
    epsilon: f32,
    /// Also the last layer, if `output` is none.
    words: Linear,
    layers: Vec<Layer>,
    norm: Tensor,
    output: Option<Linear>,
    cos: Tensor,
    sin: Tensor,
}

/// Keys and values of the tokens that a chat has so far.
pub(crate) struct Cache {
    layers: Vec<(kv_cache::Cache, kv_cache::Cache)>,
    length: usize,
}

impl Llama {
    /// Reads the weights. `words` is the size of the vocabulary, `most` the longest context that is wanted.
    pub(crate) fn read(file: &mut gguf::File, words: usize, most: usize) -> std::result::Result<Self, Error> {
        match file.text("general.architecture")? {
            Some("llama") => {}
            other => {
                return Err(
                    file.unsupported(format!("its architecture is {}, not llama", other.unwrap_or("none")))
                );
            }
        }
        let sizes = Sizes::read(file, words, most)?;
        let epsilon = file.real("llama.attention.layer_norm_rms_epsilon")?.unwrap_or(1e-5) as f32;
        let base = file.real("llama.rope.freq_base")?.unwrap_or(10_000.0);
        let (cos, sin) = rotations(&sizes, base)?;
        // The largest tensor first, while nothing else takes memory.
        let words = linear(file, "token_embd.weight", [words, sizes.width])?;
        let output = if file.has_tensor("output.weight") {
            Some(linear(file, "output.weight", [sizes.words, sizes.width])?)
        } else {
            None
        };
        let norm = file.tensor("output_norm.weight", &[sizes.width])?;
        let layers = (0..sizes.layers).map(|index| Layer::read(file, index, &sizes));
        let layers = layers.collect::<std::result::Result<_, _>>()?;
        Ok(Self { sizes, epsilon, words, layers, norm, output, cos, sin })
    }

    pub(crate) fn context(&self) -> usize {
        self.sizes.context
    }

    pub(crate) fn cache(&self) -> Cache {
        let empty = || kv_cache::Cache::new(2, GROWTH);
        Cache { layers: (0..self.sizes.layers).map(|_| (empty(), empty())).collect(), length: 0 }
    }

    /// Reads `tokens` after those in `cache`, and returns how likely each token is to come next. None if `go_on`,
    /// which is asked before each layer, said no; the cache is of no more use then.
    pub(crate) fn forward(
        &self,
        tokens: &[u32],
        cache: &mut Cache,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<f32>>> {
        let (before, count) = (cache.length, tokens.len());
        if count == 0 || before + count > self.sizes.context {
            bail!("{count} tokens after {before} in a context of {}", self.sizes.context);
        }
        let place = Place {
            cos: self.cos.narrow(0, before, count)?,
            sin: self.sin.narrow(0, before, count)?,
            mask: (count > 1).then(|| self.mask(before, count)).transpose()?,
        };
        let mut x = self.words.rows(tokens)?;
        for (layer, (keys, values)) in self.layers.iter().zip(&mut cache.layers) {
            if !go_on() {
                return Ok(None);
            }
            let normal = rms_norm(&x, &layer.attention_norm, self.epsilon)?;
            x = (layer.attend(&normal, &self.sizes, &place, keys, values)? + x)?;
            let normal = rms_norm(&x, &layer.inner_norm, self.epsilon)?;
            x = (layer.think(&normal)? + x)?;
        }
        cache.length += count;
        let last = rms_norm(&x.narrow(0, count - 1, 1)?.contiguous()?, &self.norm, self.epsilon)?;
        self.output.as_ref().unwrap_or(&self.words).forward(&last)?.flatten_all()?.to_vec1().map(Some)
    }

    /// What each of `count` tokens after `before` may not look at: those that come later. One row for each head that
    /// shares a key.
    fn mask(&self, before: usize, count: usize) -> Result<Tensor> {
        let width = before + count;
        let hidden = |i: usize| if i % width > before + i / width { f32::NEG_INFINITY } else { 0.0 };
        let mask: Vec<f32> = (0..count * width).map(hidden).collect();
        Tensor::from_vec(mask, (count, width), &Device::Cpu)?
            .repeat((self.sizes.heads / self.sizes.key_heads, 1))
    }
}

/// Where the tokens at hand stand.
struct Place {
    cos: Tensor,
    sin: Tensor,
    mask: Option<Tensor>,
}

impl Layer {
    fn read(file: &mut gguf::File, index: usize, sizes: &Sizes) -> std::result::Result<Self, Error> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let (width, inner, keys) = (sizes.width, sizes.inner, sizes.key_heads * sizes.head);
        Ok(Self {
            attention_norm: file.tensor(&name("attn_norm"), &[width])?,
            query: linear(file, &name("attn_q"), [width, width])?,
            key: linear(file, &name("attn_k"), [keys, width])?,
            value: linear(file, &name("attn_v"), [keys, width])?,
            output: linear(file, &name("attn_output"), [width, width])?,
            inner_norm: file.tensor(&name("ffn_norm"), &[width])?,
            gate: linear(file, &name("ffn_gate"), [inner, width])?,
            up: linear(file, &name("ffn_up"), [inner, width])?,
            down: linear(file, &name("ffn_down"), [width, inner])?,
        })
    }

    fn attend(
        &self,
        x: &Tensor,
        sizes: &Sizes,
        place: &Place,
        keys: &mut kv_cache::Cache,
        values: &mut kv_cache::Cache,
    ) -> Result<Tensor> {
        let count = x.dim(0)?;
        let heads =
            |x: Tensor, heads: usize| x.reshape((1, count, heads, sizes.head))?.transpose(1, 2)?.contiguous();
        let query = rope_i(&heads(self.query.forward(x)?, sizes.heads)?, &place.cos, &place.sin)?;
        let key = rope_i(&heads(self.key.forward(x)?, sizes.key_heads)?, &place.cos, &place.sin)?;
        keys.append(&key)?;
        values.append(&heads(self.value.forward(x)?, sizes.key_heads)?)?;
        let (Some(keys), Some(values)) = (keys.current_data()?, values.current_data()?) else {
            bail!("empty cache")
        };
        // Heads that share a key are rows of one matrix, so that keys and values need not be copied for each.
        let rows = count * sizes.heads / sizes.key_heads;
        let query = (query.reshape((1, sizes.key_heads, rows, sizes.head))? / (sizes.head as f64).sqrt())?;
        let mut scores = query.matmul(&keys.t()?)?;
        if let Some(mask) = &place.mask {
            scores = scores.broadcast_add(mask)?;
        }
        let seen = softmax_last_dim(&scores)?.matmul(&values)?;
        let seen = seen.reshape((1, sizes.heads, count, sizes.head))?.transpose(1, 2)?;
        self.output.forward(&seen.reshape((count, sizes.width))?)
    }

    fn think(&self, x: &Tensor) -> Result<Tensor> {
        self.down.forward(&(silu(&self.gate.forward(x)?)? * self.up.forward(x)?)?)
    }
}

fn linear(file: &mut gguf::File, name: &str, dims: [usize; 2]) -> std::result::Result<Linear, Error> {
    let tensor = file.tensor(name, &dims)?;
    Linear::new(&tensor).map_err(|e| file.unsupported(format!("tensor {name}: {e}")))
}

/// How each pair of a head is turned at each position.
fn rotations(sizes: &Sizes, base: f64) -> Result<(Tensor, Tensor)> {
    let half = sizes.head / 2;
    let speed = |pair: usize| 1.0 / base.powf(2.0 * pair as f64 / sizes.head as f64);
    let angles = (0..sizes.context * half).map(|i| (i / half) as f64 * speed(i % half));
    let (sin, cos): (Vec<f32>, Vec<f32>) =
        angles.map(|angle| (angle.sin() as f32, angle.cos() as f32)).unzip();
    let tensor = |values| Tensor::from_vec(values, (sizes.context, half), &Device::Cpu);
    Ok((tensor(cos)?, tensor(sin)?))
}
