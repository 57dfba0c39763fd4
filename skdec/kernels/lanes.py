"""Windows of the grid as short vectors of one fixed length, in vector code.

    polynomials   w_l ← Σ_k c_kl z^k
    add_patch     g_{r,l} += v_r w_l
    sum_patch     Σ v_r w_l g_{r,l},  Σ v_r w'_l g_{r,l},  Σ v'_r w_l g_{r,l}
    sum_block     the same over layers, Σ u_k v_r w_l g_{k,r,l}, and with u' last

Loops over so few numbers are not vectorised by LLVM: it cannot know that window and
grid do not overlap, and takes the check for a loop that it would rather not unroll.
So these four are written in its own language, four times as fast.  Below each stands
the same in Python, for numba's interpreter mode and as what it means.
"""

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

# Nodes that a window reaches, and the degree of the polynomials that give its values,
# for both precisions.
N_NODES = {np.dtype(np.float32): 12, np.dtype(np.float64): 20}
DEGREES = {np.dtype(np.float32): 13, np.dtype(np.float64): 22}


def polynomials(coefficients, z, out):
    """w_l ← Σ_k c_kl z^k, coefficients of the highest power first."""
    out[:] = 0
    for row in coefficients:
        out[:] = out * z + row


def add_patch(grid, at, width, v, w, charge):
    """g_{r,l} += charge v_r w_l, for the nodes from ``at`` on of a grid in one line.

    The grid may be of a wider type than the windows.
    """
    for r in range(len(v)):
        first = at + r * width
        grid[first : first + len(w)] += (charge * v[r]) * w


def sum_patch(grid, at, width, v, slope_v, w, slope_w):
    """Σ v_r w_l g_{r,l}, and with the slopes of w, and of v, in their place."""
    n = len(w)
    rows = np.array([grid[at + r * width : at + r * width + n] for r in range(n)])
    return v @ rows @ w, v @ rows @ slope_w, slope_v @ rows @ w


def sum_block(grid, at, width, size, u, slope_u, v, slope_v, w, slope_w):
    """Σ u_k v_r w_l g_{k,r,l}, and with the slopes of w, of v, or of u.

    A row of the grid has ``width`` nodes, and a layer ``size``.
    """
    sums = [sum_patch(grid, at + k * size, width, v, slope_v, w, slope_w)
            for k in range(len(u))]  # fmt: skip
    total, along_x, along_y = u @ np.array(sums)
    return total, along_x, along_y, slope_u @ np.array(sums)[:, 0]


class _Lanes:  # pragma: no cover - as what uses it
    """Vectors of LLVM's, all of the length that a window of ``dtype`` has.

    Their numbers are of that type too, unless ``number`` is another.
    """

    def __init__(self, context, builder, dtype, number=None):
        kind, number = np.dtype(str(dtype)), number or dtype
        self.n, self.degree = N_NODES[kind], DEGREES[kind]
        self.align = np.dtype(str(number)).itemsize
        self.number = context.get_value_type(number)
        self.type = ir.VectorType(self.number, self.n)
        self.context, self.builder = context, builder

    def data(self, kind, array):
        """Where the numbers of an array begin."""
        return self.context.make_array(kind)(self.context, self.builder, array).data

    def _place(self, data, index):
        place = self.builder.gep(data, [index])
        return self.builder.bitcast(place, self.type.as_pointer())

    def load(self, data, index):
        """The numbers from an index on."""
        vector = self.builder.load(self._place(data, index))
        vector.align = self.align
        return vector

    def store(self, vector, data, index):
        """Write them."""
        stored = self.builder.store(vector, self._place(data, index))
        stored.align = self.align

    def whole(self, number):
        """A vector of one number throughout."""
        empty = ir.Constant(self.type, ir.Undefined)
        one = self.builder.insert_element(empty, number, _lane(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.n), [0] * self.n)
        return self.builder.shuffle_vector(one, empty, lanes)

    def widened(self, vector):
        """A vector as one of these numbers, which may be wider than its own."""
        if vector.type == self.type:
            return vector
        return self.builder.fpext(vector, self.type)

    def plus_product(self, total, a, b):
        """total + a·b in one rounding, where the processor can."""
        product = self.builder.fmul(a, b, flags=("contract",))
        return self.builder.fadd(total, product, flags=("contract",))

    def entry(self, vector, lane):
        """One of its numbers."""
        return self.builder.extract_element(vector, _lane(lane))

    def dot(self, a, b):
        """Σ a_l b_l, added up in halves."""
        product = self.builder.fmul(a, b)
        parts = [self.entry(product, lane) for lane in range(self.n)]
        while len(parts) > 1:
            odd = parts[2 * (len(parts) // 2) :]
            pairs = zip(parts[::2], parts[1::2], strict=False)
            parts = [self.builder.fadd(x, y) for x, y in pairs] + odd
        return parts[0]


def _lane(index):  # pragma: no cover
    return ir.Constant(ir.IntType(32), index)


def _index(index):  # pragma: no cover
    return ir.Constant(ir.IntType(64), index)


if not config.DISABLE_JIT:  # type: ignore[attr-defined]  # pragma: no cover

    @intrinsic
    def polynomials(typing_context, coefficients, z, out):
        number = coefficients.dtype

        def generate(context, builder, signature, arguments):
            lanes = _Lanes(context, builder, number)
            rows = lanes.data(signature.args[0], arguments[0])
            whole = lanes.whole(arguments[1])
            total = lanes.load(rows, _index(0))
            for k in range(1, lanes.degree + 1):
                row = lanes.load(rows, _index(k * lanes.n))
                total = lanes.plus_product(row, total, whole)
            out = lanes.data(signature.args[2], arguments[2])
            lanes.store(total, out, _index(0))
            return context.get_dummy_value()

        return types.void(coefficients, number, out), generate

    @intrinsic
    def add_patch(typing_context, grid, at, width, v, w, charge):
        number, wide = w.dtype, grid.dtype

        def generate(context, builder, signature, arguments):
            lanes = _Lanes(context, builder, number)
            sums = _Lanes(context, builder, number, wide)
            grid, v, w = (
                lanes.data(signature.args[k], arguments[k]) for k in (0, 3, 4)
            )
            at, width, charge = arguments[1], arguments[2], arguments[5]
            row = sums.widened(lanes.load(w, _index(0)))
            factors = builder.fmul(lanes.load(v, _index(0)), lanes.whole(charge))
            factors = sums.widened(factors)
            for r in range(lanes.n):
                factor = sums.whole(sums.entry(factors, r))
                there = sums.load(grid, at)
                sums.store(sums.plus_product(there, row, factor), grid, at)
                at = builder.add(at, width)
            return context.get_dummy_value()

        arguments = grid, types.intp, types.intp, v, w, number
        return types.void(*arguments), generate

    @intrinsic
    def sum_patch(typing_context, grid, at, width, v, slope_v, w, slope_w):
        number = grid.dtype

        def generate(context, builder, signature, arguments):
            lanes = _Lanes(context, builder, number)
            grid = lanes.data(signature.args[0], arguments[0])
            at, width = arguments[1], arguments[2]
            v, slope_v, w, slope_w = (
                lanes.load(lanes.data(signature.args[k], arguments[k]), _index(0))
                for k in range(3, 7)
            )
            values = slopes = ir.Constant(lanes.type, [0.0] * lanes.n)
            for r in range(lanes.n):
                row = lanes.load(grid, at)
                factor = lanes.whole(lanes.entry(v, r))
                values = lanes.plus_product(values, row, factor)
                factor = lanes.whole(lanes.entry(slope_v, r))
                slopes = lanes.plus_product(slopes, row, factor)
                at = builder.add(at, width)
            pairs = (values, w), (values, slope_w), (slopes, w)
            sums = [lanes.dot(a, b) for a, b in pairs]
            return context.make_tuple(builder, signature.return_type, sums)

        arguments = grid, types.intp, types.intp, v, slope_v, w, slope_w
        return types.UniTuple(number, 3)(*arguments), generate

    @intrinsic
    def sum_block(
        typing_context, grid, at, width, size, u, slope_u, v, slope_v, w, slope_w
    ):
        number = grid.dtype

        def generate(context, builder, signature, arguments):
            lanes = _Lanes(context, builder, number)
            grid, u, slope_u = (
                lanes.data(signature.args[k], arguments[k]) for k in (0, 4, 5)
            )
            at, width, size = arguments[1:4]
            v, slope_v, w, slope_w = (
                lanes.load(lanes.data(signature.args[k], arguments[k]), _index(0))
                for k in range(6, 10)
            )
            zero = ir.Constant(lanes.type, [0.0] * lanes.n)
            # of the values, of the slopes along y, and of those along z
            totals = [cgutils.alloca_once_value(builder, zero) for _ in range(3)]
            with cgutils.for_range(builder, _index(lanes.n)) as layer:
                values = slopes = zero
                first = builder.add(at, builder.mul(layer.index, size))
                for r in range(lanes.n):
                    row = lanes.load(grid, first)
                    factor = lanes.whole(lanes.entry(v, r))
                    values = lanes.plus_product(values, row, factor)
                    factor = lanes.whole(lanes.entry(slope_v, r))
                    slopes = lanes.plus_product(slopes, row, factor)
                    first = builder.add(first, width)
                terms = (values, u), (slopes, u), (values, slope_u)
                for total, (vector, factors) in zip(totals, terms, strict=True):
                    factor = builder.load(builder.gep(factors, [layer.index]))
                    sums = builder.load(total)
                    sums = lanes.plus_product(sums, vector, lanes.whole(factor))
                    builder.store(sums, total)
            values, along_y, along_z = map(builder.load, totals)
            pairs = (values, w), (values, slope_w), (along_y, w), (along_z, w)
            sums = [lanes.dot(a, b) for a, b in pairs]
            return context.make_tuple(builder, signature.return_type, sums)

        index, window = types.intp, w
        arguments = grid, index, index, index, *[window] * 6
        return types.UniTuple(number, 4)(*arguments), generate
