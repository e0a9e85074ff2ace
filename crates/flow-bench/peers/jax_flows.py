"""Flows of vectors of flowjax, with networks of the sizes of the others: five hidden layers of 64."""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import paramax
from flowjax import flows
from flowjax.bijections import RationalQuadraticSpline
from flowjax.distributions import Normal


class JaxFlow:
    """A flow; arrays are NumPy's. Threads are those of XLA, one a core."""

    def __init__(self, library, flow, features, context, sizes, seed, threads):
        build = flows.coupling_flow if flow in ("nsf", "realnvp") else flows.masked_autoregressive_flow
        spline = RationalQuadraticSpline(knots=sizes.bins - 1, interval=sizes.bound)
        self.key = jax.random.key(seed)
        self.flow = build(
            self._key(),
            base_dist=Normal(jnp.zeros(features)),
            cond_dim=context,
            transformer=spline if flow.startswith("nsf") else None,
            flow_layers=sizes.layers,
            nn_width=sizes.width,
            nn_depth=sizes.plain_depth,
        )
        self.parameters = sum(leaf.size for leaf in jax.tree.leaves(self._parts()[0]))
        self.draws = {}

    def fit(self, x, context, steps, batch, lr, limit):
        """Trains for `steps`, or for `limit` seconds; returns seconds, those of compiling, and the steps done."""
        optimizer = optax.chain(
            optax.clip_by_global_norm(5.0), optax.adam(optax.cosine_decay_schedule(lr, steps)))
        params, static = self._parts()
        state = optimizer.init(params)

        def loss(params, x, context):
            return -paramax.unwrap(eqx.combine(params, static)).log_prob(x, context).mean()

        @jax.jit
        def step(params, state, x, context):
            grads = jax.grad(loss)(params, x, context)
            updates, state = optimizer.update(grads, state, params)
            return optax.apply_updates(params, updates), state

        at = lambda rows: (x[rows], None if context is None else context[rows])
        start = time.perf_counter()
        # Batches of the same size, as flowjax's own loop makes them.
        step = step.lower(params, state, *at(slice(batch))).compile()
        compiling = time.perf_counter() - start
        rng, start, done = np.random.default_rng(0), time.perf_counter(), 0
        while done < steps and time.perf_counter() - start < limit:
            order = rng.permutation(len(x))
            for first in range(0, len(x) - batch + 1, batch):
                if done == steps or time.perf_counter() - start > limit:
                    break
                params, state = step(params, state, *at(order[first : first + batch]))
                jax.block_until_ready(params)
                done += 1
        seconds = time.perf_counter() - start
        self.flow = eqx.combine(params, static)
        return seconds, compiling, done

    def log_prob(self, x, context):
        """ln p of rows in runs, `[N]`."""
        flow = paramax.unwrap(self.flow)
        score = eqx.filter_jit(lambda x, context: flow.log_prob(x, context))
        parts = [slice(i, i + 10_000) for i in range(0, len(x), 10_000)]
        found = [score(x[rows], None if context is None else context[rows]) for rows in parts]
        return np.concatenate(found).astype(np.float64)

    def sample(self, count, context=None):
        """Draws: `[count, D]`, or `[count, m, D]` of m contexts."""
        if context is None:
            return np.asarray(self.draws[count](self._key()))
        return np.asarray(paramax.unwrap(self.flow).sample(self._key(), (count,), context))

    def ready(self, count):
        """Compiles draws of `count` rows."""
        flow = paramax.unwrap(self.flow)
        draw = jax.jit(lambda key: flow.sample(key, (count,)))
        self.draws[count] = draw.lower(self._key()).compile()

    def _parts(self):
        frozen = lambda leaf: isinstance(leaf, paramax.NonTrainable)
        return eqx.partition(self.flow, eqx.is_inexact_array, is_leaf=frozen)

    def _key(self):
        self.key, key = jax.random.split(self.key)
        return key
