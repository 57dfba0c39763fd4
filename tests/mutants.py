"""Whether the tests notice wrong mathematics.

    python tests/mutants.py [--only NAME ...] [--list]

A mutant is one change that makes a formula wrong: a sign, an exponent, a factor, a
bound.  Each is made in a copy of its own, and its tests run there until one fails.  A
mutant whose tests all pass has survived, and a test is missing, unless ``EQUIVALENT``
says why it changes nothing.  Whoever edits a line that a mutant names edits the mutant.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
COPIED = ("skdec", "tests", "pyproject.toml")
WANTED = 0.95  # share of the mutants that are to be noticed
TIMEOUT = 300  # seconds; a loop without end has been noticed too

# These pass with the JIT off, which is faster than to compile what has changed.
INTERPRETED = ("tests/kernels", "tests/clustering/test_optimizers.py")

# Pytest's arguments, the fastest test that should notice first.
CLUSTERING = "tests/kernels -k 'not embedding and not fused and not placement'"
EMBEDDING = "tests/kernels -k 'embedding or fused or placement'"
AFFINITIES = "tests/kernels -k 'not clustering and not embedding'"
OPTIMIZERS = (
    "tests/clustering/test_optimizers.py tests/tsne/test_schedule.py "
    "tests/tsne/test_gradient_descent.py tests/tsne/test_bfgs.py "
    "tests/tsne/test_placement.py -k 'centroids or batches or phases or rates or "
    "with_its_last or patience or is_flat or is_small or moves or bfgs or at_a_minimum "
    "or newtons or descend or limit or coincide'"
)
GRADIENTS = "tests/contract/test_gradients.py"
EXTREMES = "tests/contract/test_extremes.py"
NEIGHBOURS = "tests/tsne -k 'neighbours or sigma or symmetric or truncated'"
SEARCH = "tests/tsne/test_neighbors.py -k 'nearest or products or blocks or copies'"
GRID = "tests/kernels/test_grid.py tests/tsne/test_grid.py"
CHUNKS = "tests/tsne/test_objective.py"
TRANSFORM = "tests/tsne/test_placement.py -k 'transform or place'"
CONTINUED = "tests/tsne/test_continued.py"
HISTORY = "tests/tsne/test_progress.py -k history"
RATE = "tests/tsne/test_schedule.py -k pull_of_neighbours"
SPREAD = "tests/tsne/test_schedule.py -k 'more_momentum or spreads'"
MASKED = "tests/contract/test_bad_input.py -k 'masked or functions_refuse_arrays'"
WATCH = "tests/clustering/test_watch.py -k 'are_given or often or large_data'"


class Mutant(NamedTuple):
    """A change of a file of skdec, and the tests that are to notice it."""

    name: str
    file: str
    old: str  # occurs there once
    new: str
    tests: tuple[str, ...]


def mutants(file, tests, **changes):
    """The mutants of one file, each by its name as (old, new)."""
    return [
        Mutant(f"{Path(file).with_suffix('')}:{name}", f"skdec/{file}", old, new, tests)
        for name, (old, new) in changes.items()
    ]


MUTANTS = [
    *mutants(
        "kernels/elementary.py",
        (AFFINITIES, CLUSTERING, EMBEDDING, GRADIENTS),
        exp_series=("number(1 / 720)", "number(1 / 702)"),
        exp_double_series=("number(1 / 3628800)", "number(1 / 3628080)"),
        exp_low_part=("- n * number(LOG_2_LOW)", "+ n * number(LOG_2_LOW)"),
        exp_underflow=("if x > -largest", "if x >= -largest"),
        log_series=("g * (number(1 / 5)", "g * (number(1 / 6)"),
        log_exponent=("n + number(1) if high", "n - number(1) if high"),
    ),
    *mutants(
        "kernels/elementary.py",
        ("tests/kernels/test_elementary.py",),
        power_degree=("DEGREE_32, DEGREE_64 = 5, 10", "DEGREE_32, DEGREE_64 = 4, 9"),
        power_bounded=("limited = max(x, least)", "limited = x"),
        power_high_terms=("e = e + square * high", "pass"),
    ),
    *mutants(
        "kernels/similarity.py",
        (AFFINITIES, CLUSTERING, EMBEDDING, GRADIENTS),
        log_large_dof=("LARGEST_LOG_DOF = 64", "LARGEST_LOG_DOF = 1e9"),
        distance_sign=("difference = x_d - row", "difference = x_d + row"),
        product_of_any_dof=("dof == int(dof) and dof", "dof"),
        powers_one_more=("(int(dof) + 1) // 2 - 1)", "(int(dof) + 1) // 2)"),
        powers_of_odd=("int(dof) % 2 == 0", "int(dof) % 2 == 1"),
        student_t_sign=("T[lane] * -power", "T[lane] * power"),
        gaussian_sign=("near[lane] - D[lane]", "D[lane] - near[lane]"),
        product_not_relative=(
            "(dof + near[lane]) / (dof + D[lane])",
            "dof / (dof + D[lane])",
        ),
        power_not_relative=(
            "(D[lane] - near[lane]) / (dof + near[lane])",
            "(D[lane] - near[lane]) / dof",
        ),
        weights_minus_one=("numerator = dof + D.dtype", "numerator = dof - D.dtype"),
        weights_of_gaussian=("fill(G, 2)", "fill(G, 1)"),
        least_without_last=(
            "range(len(columns), len(D), 16)",
            "range(len(columns), len(D) - 16, 16)",
        ),
        graph_weight=(
            "(kernel.dof + 1) / (kernel.dof + D)",
            "(kernel.dof + 2) / (kernel.dof + D)",
        ),
        energy_without_dof=("math.log1p(float(D) / dof)", "math.log1p(float(D))"),
        energies_without_dof=("one + D[lane] * per_dof", "one + D[lane]"),
        energies_of_gaussian=(
            "energy(D[lane], kernel)",
            "float(D[lane])",
        ),
        pull_sign=("C[lane] * (x_d - row[lane])", "C[lane] * (x_d + row[lane])"),
    ),
    *mutants(
        "kernels/clustering.py",
        (CLUSTERING, GRADIENTS),
        padding_counts=("fill(W, 0)", "fill(W, 1)"),
        nearest_without_last=(
            "for j in range(len(D)):\n        D_j = D[j]\n",
            "for j in range(len(D) - 1):\n        D_j = D[j]\n",
        ),
        farthest=("D_j[lane] if D_j[lane] < near", "D_j[lane] if D_j[lane] > near"),
        assign_scale=("((dof + near[lane]) * per_weight)", "(dof + near[lane])"),
        assign_without_power=("powers(Q_j, dof, T)", "pass"),
        assign_not_normalised=("T.dtype.type(1) / total[lane]", "total[lane]"),
        target_not_squared=("Q_j[lane] * (Q_j[lane] * per_f)", "Q_j[lane] * per_f"),
        target_without_f=("Q_j[lane] * (Q_j[lane] * per_f)", "Q_j[lane] * Q_j[lane]"),
        target_of_empty_row=("p if total[lane] > 0 else Q_j[lane]", "p"),
        last_of_equals=("Q_j[lane] > top[lane]", "Q_j[lane] >= top[lane]"),
        unchanged_count=("labels[lane] != best[lane]", "labels[lane] == best[lane]"),
        kl_not_normalised=("Q_j[lane] * per_f * total[lane]", "Q_j[lane] * per_f"),
        kl_without_f=("Q_j[lane] * per_f * total[lane]", "Q_j[lane] * total[lane]"),
        kl_without_weight=("kl += dot(W, T)", "kl += dot(W, W)"),
        residual_sign=("g * (P[lane] - Q[lane])", "g * (Q[lane] - P[lane])"),
        residual_without_g=("c = g * (P", "c = W[lane] * (P"),
        curvature_without_weight=("curvature += g * P", "curvature += G[lane] * P"),
        frequency_without_weight=("frequency += W[lane] * Q", "frequency += Q"),
        residual_sum_sign=("residual += c", "residual -= c"),
        occupied_by_others=("if best[lane] == j else", "if best[lane] != j else"),
        block_short=(
            "min((block + 1) * size, len(weight))",
            "min((block + 1) * size, len(weight) - 1)",
        ),
        anchors_are_centers=(
            "centers if turn else anchors",
            "anchors if turn else centers",
        ),
        target_of_centers=("if turn == 0:", "if turn == moved:"),
        given_log_sum=(
            "math.log1p(farther) - log_sum",
            "math.log1p(farther) + log_sum",
        ),
        given_log_q=(
            "power, per_near = 0.5 * (nu + 1.0)",
            "power, per_near = 0.5 * nu",
        ),
        given_without_weight=("W[lane] * p * (math", "p * (math"),
        loss_block_short=(
            "min((block + 1) * size, len(Z))",
            "min((block + 1) * size, len(Z) - 1)",
        ),
        loss_padding_counts=(" if lane < width else 0", ""),
        loss_residual_is_p=("load(R_in, first", "load(P_in, first"),
        loss_pull_sign=("(z_d[lane] - center)", "(center - z_d[lane])"),
    ),
    *mutants(
        "kernels/rows.py",
        (CLUSTERING, GRADIENTS),
        load_short=("last = len(X) - 1", "last = len(X) - 2"),
        frame_order=(
            "(z[lane] - origin) * rows.scale",
            "z[lane] * rows.scale - origin",
        ),
        distance_strip=(
            "c - rows[2 * LANES + lane]\n            total",
            "c - rows[LANES + lane]\n            total",
        ),
        distance_rest_sign=("difference = a - row[lane]", "difference = a + row[lane]"),
        force_strip=(
            "weight * (e - rows[3 * LANES + lane])",
            "weight * (e + rows[3 * LANES + lane])",
        ),
        force_rest=("C[lane] * (a - row[lane])", "C[lane] * row[lane]"),
        product_sign=("(lengths[lane] + norm) - D_j", "(lengths[lane] + norm) + D_j"),
        product_negative=("difference if difference > 0 else zero", "difference"),
        product_rest=(
            "rows.X[min(first + lane, n_samples - 1)]",
            "rows.X[min(first, n_samples - 1)]",
        ),
        product_norms=(
            "rows.norms[min(first + lane, n_samples - 1)]",
            "rows.norms[min(lane, n_samples - 1)]",
        ),
        product_push_sign=("force_j[d] -= sums_j[d]", "force_j[d] += sums_j[d]"),
        sparse_last_entry=("products[j] += x * point[j]", "products[j] = x * point[j]"),
        sparse_negative=(
            "max((rows.norms[i] + norms[j]) - products[j], 0.0)",
            "(rows.norms[i] + norms[j]) - products[j]",
        ),
        sparse_push_sign=("row[j] -= C[j, lane] * x", "row[j] += C[j, lane] * x"),
    ),
    *mutants(
        "kernels/mixture.py",
        (CLUSTERING,),
        block_short=(
            "(block + 1) * size, len(weight))",
            "(block + 1) * size, len(weight) - 1)",
        ),
        frequency_without_q=("dot(W, Q_j)", "dot(W, W)"),
        means_without_weight=("Q_j[lane] *= W[lane]", "pass"),
        density_without_share=("share * S_j[lane]", "S_j[lane]"),
        density_energy_sign=("total[lane] - near[lane]", "total[lane] + near[lane]"),
        nearest_last_of_equals=("D_j[lane] < near[lane]", "D_j[lane] <= near[lane]"),
    ),
    *mutants(
        "kernels/affinities.py",
        (AFFINITIES, EXTREMES),
        product_once=("- 2 * row[j]", "- row[j]"),
        distance_not_squared=("(a[d] - b[d]) * (a[d] - b[d])", "abs(a[d] - b[d])"),
        no_ties=("near < D * (1 - TIE)", "near < D"),
        not_relative=("D - near if", "D if"),
        share_not_normalised=("E[j] / pairs.total[j]", "E[j]"),
        entropy_without_distance=("first += E[j] * b", "first += E[j]"),
        entropy_sign=("math.log(total) + mean - goal", "math.log(total) - mean - goal"),
        bracket_side=("if surplus > 0:", "if surplus < 0:"),
        newton_sign=("step = surplus / slope", "step = -surplus / slope"),
        newton_to_and_fro=("(abs(step) > longest and", "(abs(step) > np.inf and"),
        uniform_limit=(
            "goal >= all_alike - ENTROPY_TOLERANCE:",
            "goal > all_alike + ENTROPY_TOLERANCE:",
        ),
        ties_limit=(
            "goal <= ties_alike + ENTROPY_TOLERANCE:",
            "goal <= ties_alike - 1:",
        ),
        own_point_counts=("others[j] = row[j + 1]", "others[j] = row[j]"),
        first_row_has_itself=(
            "own if own >= 0 else n_columns\n        others",
            "own if own > 0 else n_columns\n        others",
        ),
        scales_summed=("total[s, r] * n_scales", "total[s, r]"),
        diagonal=("P_r[exclude[r]] = 0", "pass"),
        joint_once=("1 / (2 * n) if joint", "1 / n if joint"),
        their_distance=("near[i + 1 : i + 1 + half]", "near[i : i + half]"),
        their_beta=("beta_s[i + 1 : i + 1 + half]", "beta_s[i : i + half]"),
        half_of_the_pairs=(
            "plogp(mine, pairs_of, E) + plogp(theirs, pairs_of, E)",
            "2 * plogp(mine, pairs_of, E)",
        ),
        pairs_twice=("for lane in range(m, half)", "for lane in range(m + 1, half)"),
        plogp_without_p=("p[lane] * logs[lane]", "logs[lane]"),
        unconnected_counted=("if np.isfinite(D[j]):", "if True:"),
        counts_not_moved=("counts[n] = counts[j]", "pass"),
    ),
    *mutants(
        "kernels/graphs.py",
        (AFFINITIES,),
        stripe_without_first=("if 0 <= c < n_points", "if 0 < c < n_points"),
        stripe_of_one_more=("columns[i, t] - first", "columns[i, t] - first + 1"),
        list_not_longer=("end[c] = e + 1", "end[c] = e"),
        scales_of_first=("scales.near[rows[lane]]", "scales.near[rows[0]]"),
        scales_summed=("total[rows[lane]] * n_scales", "total[rows[lane]]"),
        other_row_later=(
            "columns[a] <= their_columns[b]",
            "columns[a] >= their_columns[b]",
        ),
        own_p_alone=("out[end - 1] += value", "pass"),
        position_bits=("keys[r, t] >> own.bits", "keys[r, t] >> (own.bits - 1)"),
        distance_of_another=(
            "D[i, keys[r, t] & ((1 << own.bits) - 1)]",
            "D[i, t]",
        ),
        joint_once=("1 / (2 * n) if", "1 / n if"),
        conditional_half=("if joint else 0.5", "if joint else 1.0"),
        zeros_kept=("end += P[end] > 0", "end += 1"),
        entropy_of_the_other=("p if joint else mine", "mine if joint else p"),
        mass_of_own=("sum_of(p)", "sum_of(mine)"),
    ),
    *mutants(
        "kernels/grid.py",
        (GRID,),
        squares=("row[k] * row[k] * row[k]", "row[k] * row[k]"),
        row_of_the_column=("(Y[1, i] - cells.y)", "(Y[1, i] - cells.x)"),
        layer_of_the_row=("(Y[2, i] - cells.z)", "(Y[1, i] - cells.z)"),
        outside_is_inside=("0 <= row < cells.n_rows", "row < cells.n_rows"),
        above_is_inside=("inside and 0 <= layer < cells.n_layers", "inside"),
        line_of_the_layer=("int(layer) * cells.n_rows", "int(layer)"),
        off_the_grid_first=("counts[0] = 0", "pass"),
        charge_forgotten=("charges[order[p]] if len(charges) > 0 else 1", "1"),
        window_of_the_column=(
            "add_patch(nodes, at, mesh.n_columns, windows[1], windows[0], charge)",
            "add_patch(nodes, at, mesh.n_columns, windows[0], windows[1], charge)",
        ),
        share_of_the_layer=("charge * share", "charge"),
        node_of_the_layer=("line += layer * mesh.n_rows", "line += layer"),
        strip_from_the_top=("first -= bands.nodes[band] * size", "pass"),
        strips_replaced=("row[k] += strip[k]", "row[k] = strip[k]"),
        far_force=(
            "out.forces[1, i] -= per_unit * far_y",
            "out.forces[1, i] += per_unit * far_y",
        ),
        far_force_across=("out.forces[2, i] -= per_unit * far_z", "pass"),
        slope_across=("width, windows[1], slopes[1]", "width, slopes[1], windows[1]"),
        off_the_cells=("out.value[i] = np.inf", "out.value[i] = 0"),
        far_weight=("S[j] *= G[j]", "pass"),
    ),
    *mutants(
        "kernels/near_pairs.py",
        (GRID,),
        axes_of_the_plane=(
            "return total, (force_x, force_y)",
            "return total, (force_y, force_x)",
        ),
        last_terms=("terms[21:26])", "terms[16:21])"),
        near_slope=("N * (tau + inverse)", "N * (tau - inverse)"),
        student_slope=("near.power * q + near.factor", "q + near.factor"),
        student_scale=("inverse * inverse * near.per_dof", "inverse"),
        next_cells=("REACH = 2", "REACH = 1"),
        left=("max(column - REACH, 0)", "max(column - REACH + 1, 0)"),
        right=("column + REACH + 1", "column + REACH"),
        above=("min(layer + REACH + 1, cells", "min(layer + REACH, cells"),
        padding_is_charged=("found[n_axes, n] = 0", "found[n_axes, n] = 1"),
        third_axis=("dx * dx + dy * dy + dz * dz", "dx * dx + dy * dy"),
    ),
    *mutants(
        "tsne/_split.py",
        (GRID,),
        reach=("math.sqrt(ratio - 1)", "math.sqrt(ratio) - 1"),
        frequencies=("2 * math.sqrt(tau * ends)", "math.sqrt(tau * ends)"),
        gaussian_frequencies=("2 * math.sqrt(T)", "math.sqrt(T)"),
        far_of_any=("u**-a * gammainc(a, tau * u)", "u**-a"),
        factor=("tau**a / math.gamma(a)", "tau**a"),
        far_near=("-np.expm1(-tau * u) / u", "np.exp(-tau * u) / u"),
        power=("(float(self.kernel.dof) + 1) / 2", "float(self.kernel.dof) / 2"),
        window=("np.exp(self.beta * (self._root(t) - 1))", "self._root(t)"),
        slope=("-self.beta * 4 * t", "-self.beta * 2 * t"),
        level=("z - z * beta + beyond / 2", "z - z * beta + beyond"),
    ),
    *mutants(
        "tsne/_series.py",
        (GRID,),
        sign=("(-1) ** p * math.comb", "math.comb"),
        ways=("t * ways * signed", "t * signed"),
        too_few=("beyond * (D / 4) ** n", "beyond * (D / 4) ** (n + 1)"),
        slope=("-(dof + 3) / 2", "-(dof + 1) / 2"),
        charges=("products = c[b, None]", "products = np.ones((len(c[b]), 1))"),
        power=("-((dof + 1) / 2 + k - 1)", "-((dof + 1) / 2)"),
    ),
    *mutants(
        "tsne/_grid.py",
        (GRID,),
        negative_frequencies=("slice(n // 2 - 1, 0, -1)", "slice(1, n // 2)"),
        constant_lost=(
            "return nodes, constant * integral**nodes.ndim",
            "return nodes, 0.0",
        ),
        constant_once=("integral**nodes.ndim", "integral"),
        far_one_way=("((points.order, far), (far, everyone))", "((far, everyone),)"),
        far_twice=("(far, everyone)", "(everyone, everyone)"),
        cauchy_of_any_dof=("and kernel.dof == 1:", "and kernel.dof > 0:"),
        charges_in_single=(
            "strips = np.empty(bands.strips[-1])",
            "strips = np.empty(bands.strips[-1], quality.dtype)",
        ),
        heaps_of_one_axis=("spread.cubed ** len(Y)", "spread.cubed"),
        promise=("elif self.promised is DOUBLE", "elif self.quality is DOUBLE"),
    ),
    *mutants(
        "tsne/_rounding.py",
        (GRID,),
        heaps_in_single=("rounding * summed.heaps > MOST_LOST", "0 > MOST_LOST"),
        level_in_single=("rounding * spread > MOST_ROUNDED", "0 > MOST_ROUNDED"),
    ),
    *mutants(
        "tsne/_repulsion.py",
        (GRID,),
        itself_in_z=("sums.value - (1.0 if", "sums.value - (0.0 if"),
        half_of_psi=(".forces) / 2\n", ".forces)\n"),
        charge_of_rows=("charges = 1 / Z if", "charges = Z if"),
        never_pairs=("if cost > pair * n * n and not self.always", "if False"),
        pairs_of_one_price=("FUSED_PAIR[len(Y)] if fused else PAIR", "PAIR"),
    ),
    *mutants(
        "tsne/_repulsion.py",
        ("tests/kernels/test_copies.py",),
        copies_at_one_place=("astype(np.float64) + own", "astype(np.float64)"),
        copies_by_rows=("total = self.weights @ Z", "total = Z.sum()"),
        grid_by_rows=("copies = Z if weights is None else weights * Z", "copies = Z"),
        psi_by_rows=("if weights is None else weights / Z", "if 1 else 0"),
    ),
    *mutants(
        "tsne/_neighbors.py",
        ("tests/kernels/test_copies.py",),
        no_copies_of_itself=("np.maximum(weights[:, None] - 1, 0)", "0 * D[:, :1]"),
        lists_of_rows=("np.clip(n_copies - before, 0, counts)", "counts"),
    ),
    *mutants(
        "tsne/_copies.py",
        ("tests/tsne/test_copies.py",),
        few_twins_merged=("many or not merge or", "not merge or"),
        held_rows_merged=("many or not merge or", "many or"),
        rows_in_their_order=("rows = rows[_order(X[rows])]", "pass"),
    ),
    *mutants(
        "tsne/_inverse.py",
        ("tests/tsne/test_copies.py",),
        means_of_rows=("return nearest_copies(", "return nearest(n_neighbors) or ("),
    ),
    *mutants(
        "kernels/graphs.py",
        ("tests/kernels/test_copies.py",),
        copies_of_one_side=("c * d * xlogx(p + q)", "c * d * xlogx(p)"),
        copies_cut_twice=("weights[i] - 1 - c", "weights[i] - c"),
    ),
    *mutants(
        "tsne/_field.py",
        (TRANSFORM,),
        log_of_field=("np.log(out.value)", "out.value"),
        share_of_field=("out.forces[:] /= out.value", "pass"),
        off_kept=("log_phi[off], out.forces[:, off] =", "_, _ ="),
        no_constant=("out.value[:] += prepared.constant", "pass"),
    ),
    *mutants(
        "kernels/neighbors.py",
        ("tests/kernels/test_neighbors.py",),
        count_of_others=("scores[t] <= limit)", "scores[t] > limit)"),
        bisection_side=("if n >= kept:", "if n < kept:"),
        bisection_of_part=("low + half * (high - low)", "half * (high - low)"),
        all_below_the_limit=("n_equal > 0)", "n_equal > 1)"),
        equals_beyond=("n_equal -= equal", "pass"),
        last_feature_alone=("]] += a * lists", "]] = a * lists"),
        buffer_overrun=("n + below > capacity", "n > capacity"),
        limit_stays=(
            "limit, n = keep_least(best[:n], columns[:n], kept), kept",
            "n = kept\n                keep_least(best, columns, kept)",
        ),
        last_of_equals=("if group[lane] < limit", "if group[lane] <= limit"),
        column_of_block=("first + start + lane", "start + lane"),
        not_cut=("if n > kept:", "if n > kept + 1:"),
    ),
    *mutants(
        "tsne/_exact_search.py",
        (SEARCH,),
        copies_with_itself=("alike[alike != own[i]]", "alike[:n_neighbors]"),
        no_proof=("least - margin > farthest", "least - margin > -1.0"),
        equal_is_proof=("least - margin > farthest", "least >= farthest"),
        without_row=("square + 2 * candidates.limit", "2 * candidates.limit"),
        limit_without_margin=("(D + margin - square) / 2", "(D - square) / 2"),
        score_once=("square + 2 * candidates.limit", "square + candidates.limit"),
        margin_once=("return 2 * (gamma", "return 0.01 * (gamma"),
        whole_norm=("squares / 2]", "squares]"),
        few_of_double=("max(DOUBLE_SPARE, 3 * n_neighbors)", "1"),
        by_row_order=('kind="stable")[:, :n', ")[:, ::-1][:, :n"),
        with_itself=("D[columns == own[:, None]] = np.inf", "pass"),
        candidates_unordered=("columns = np.sort(columns, axis=1)", "pass"),
    ),
    *mutants(
        "kernels/embedding.py",
        (EMBEDDING, CHUNKS, EXTREMES),
        nearest_is_itself=("D[i] = np.inf", "pass"),
        normaliser_with_itself=("S[i] = 0", "pass"),
        conditional_half=(
            "half * (S[lane] * inverse[i] + A",
            "(S[lane] * inverse[i] + A",
        ),
        their_similarity=("near[i + 1 : i + 1 + m]", "near[i : i + m]"),
        repulsion_without_g=("S[lane] *= G[lane]", "pass"),
        attraction_without_g=("A[lane] = G[lane] * P_i[lane]", "A[lane] = P_i[lane]"),
        attraction_cut=("add_scaled(total, A[head:], attraction)", "pass"),
        repulsion_sign=(
            "add_scaled(total, R[head:], -repulsion)",
            "add_scaled(total, R[head:], repulsion)",
        ),
        graph_not_exaggerated=("total[i] * attraction", "total[i]"),
        graph_energy=("out[i] = dot(D, values)", "out[i] = sum_of(D)"),
        energy_pairs=("dot(D, P[i][:m])", "dot(D, D)"),
    ),
    *mutants(
        "kernels/pairs.py",
        (EMBEDDING, CHUNKS, EXTREMES),
        pairs_twice=("else n // 2 - 1", "else n // 2"),
        lanes_off_by_one=(
            "others = Y[d][i + 1 : i + 1 + len(D)]",
            "others = Y[d][i : i + len(D)]",
        ),
        back_sign=("back[lane] -= force", "back[lane] += force"),
    ),
    *mutants(
        "kernels/embedding_fused.py",
        (EMBEDDING, CHUNKS, EXTREMES),
        graph_square=("(dof + (dx * dx + dy * dy))", "(dof + dx * dx)"),
        graph_cube=("(dof + (dx * dx + dy * dy + dz * dz))", "(dof + dx * dx)"),
        graph_without_factor=("attraction[i, 2] *= factor", "pass"),
        chunk_place=("first * n_columns + k * CHUNK", "k * CHUNK"),
        chunk_factor=(
            "min(CHUNK, slot.shape[1] - first)],\n                factor,",
            "min(CHUNK, slot.shape[1] - first)],\n                1,",
        ),
        plane_cubed=("s_a *= s_a", "s_a *= s_a * s_a"),
        plane_back_sign=("back[j + 3 * CHUNK] -= fy_a", "back[j + 3 * CHUNK] += fy_a"),
        plane_axis=("ry_b += fy_b", "ry_b += fx_b"),
        plane_pair_sign=("slot[d, j - first] -= force", "slot[d, j - first] += force"),
        plane_pair_attraction=("2 * s * P_i[lane]", "2 * s * s * P_i[lane]"),
        plane_last_pair=("if m_a == m_b", "if m_a != m_b"),
        plane_second_row=(
            "P[i + 1][lane - 1 : lane - 1 + m]",
            "P[i + 1][lane : lane + m]",
        ),
        space_power=("u * math.sqrt(u) if square", "u * u if square"),
        space_repulsion=("u *= s", "u *= u"),
        space_factor=("(dof + one) / dof", "(dof + one) / (one + one)"),
    ),
    *mutants(
        "kernels/placement.py",
        (EMBEDDING, TRANSFORM, CHUNKS, EXTREMES),
        repulsion_energy=("-energy(nearest, kernel) +", "energy(nearest, kernel) +"),
        repulsion_not_normalised=("G[j] *= S[j] * share", "G[j] *= S[j]"),
        neighbours_pushed=("-repulsion.forces[d, t]", "repulsion.forces[d, t]"),
        neighbours_energy=("P[r, k] * energy(D, kernel)", "energy(D, kernel)"),
        placement_energy=("math.log(sum_s) - energy", "math.log(sum_s) + energy"),
        placement_curvature=("dot(G, P_t)", "dot(S, P_t)"),
        placement_not_normalised=("P_t[j] - S[j] * share", "P_t[j] - S[j]"),
        own_place_kept=("D[own] = LEFT_OUT", "pass"),
        hessian_outer=("(1 + bend) * S[j] * G[j]", "S[j] * G[j]"),
        hessian_bend=("-bend * attraction", "bend * attraction"),
        hessian_force=("F[d] * F[e] / terms.mass", "F[d] * F[e]"),
        left_out_share=("-share * repulsion", "-terms.mass * repulsion"),
    ),
    *mutants(
        "kernels/descent.py",
        ("tests/kernels -k momentum",),
        gain_direction=("V[i] * G[i] < 0", "V[i] * G[i] > 0"),
        gain_shrinks=("gain[i] * number(0.8)", "gain[i] * number(0.9)"),
        step_without_gain=("rate * gain[i] * G[i]", "rate * G[i]"),
        least_gain=("grown if grown > least_gain else least_gain", "grown"),
        longest_squared=("longest / math.sqrt(square[i])", "longest / square[i]"),
        longest_one_side=("v if v > -longest else -longest", "v"),
    ),
    *mutants(
        "functions/_clustering.py",
        (CLUSTERING, GRADIENTS),
        swapped=("rel_entr(P[batch], Q[batch])", "rel_entr(Q[batch], P[batch])"),
        weight_of_first_batch=("weight[batch][used]", "weight[: len(rows)][used]"),
        kl_without_unit=("return weights.restore(kl)", "return kl"),
        loss_without_unit=(
            "weights.restore(max(forces.kl, 0.0))",
            "max(forces.kl, 0.0)",
        ),
        gradient_without_unit=(
            "map(weights.restore, gradients)",
            "gradients",
        ),
    ),
    *mutants(
        "clustering/_forces.py",
        (CLUSTERING, GRADIENTS),
        residual_sign=("weight[:, None] * (P - Q)", "weight[:, None] * (Q - P)"),
        residual_without_weight=("weight[:, None] * (P - Q)", "P - Q"),
        through_once=("return 2 * b -", "return b -"),
        through_without_balance=("B = balance * np", "B = np"),
        through_without_mean=("(B - (Q @ B)[:, None])", "B"),
        through_mean_by_q=("pa - P * pa.sum", "pa - Q * pa.sum"),
        first_block_only=("grad_centers.sum(axis=0)", "grad_centers[0]"),
    ),
    *mutants(
        "clustering/_memberships.py",
        (CLUSTERING, GRADIENTS),
        frequency_without_weight=('"i,ij->j", weight, Q', '"ij->j", Q'),
        without_balance=("inverse**balance", "inverse"),
        multiplied=(
            "np.divide(f.max(), np.maximum(f, f.max() / largest)",
            "np.divide(np.maximum(f, f.max() / largest), f.max()",
        ),
        common_factor=("np.divide(f.max(),", "np.divide(f.sum(),"),
        overflow=(
            "np.minimum(inverse**balance, largest)",
            "np.asarray(inverse**balance)",
        ),
        dead_column=("where=f > 0)", "where=f >= 0)"),
    ),
    *mutants(
        "functions/_clustering.py",
        (CLUSTERING,),
        another_bandwidth=(
            "scale_rows(Z, centers, 1.0)\n    if sparse",
            "scale_rows(Z, centers, 2.0)\n    if sparse",
        ),
    ),
    *mutants(
        "clustering/_memberships.py",
        (CLUSTERING,),
        assigned_outside=(
            "rows.kernel_centers(rows.to_internal(centers))",
            "rows.kernel_centers(centers)",
        ),
    ),
    *mutants(
        "clustering/_objective.py",
        (CLUSTERING, GRADIENTS),
        repulsion_sign=("curvature - residual", "curvature + residual"),
        kl_of_labels=(
            "float(sum(blocks.kl)) if judged",
            "float(sum(blocks.changed)) if judged",
        ),
        mean_sign=("Mixture(centers - off, f)", "Mixture(centers + off, f)"),
        mean_not_divided=("np.divide(off, f[:, None], out", "np.divide(off, 1, out"),
        labelled_without_weight=(
            "weight = self.weight.astype(np.float64)\n        sums",
            "weight = np.ones(len(labels))\n        sums",
        ),
        labelled_not_divided=("sums, mass[:, None], out", "sums, 1, out"),
        density_dof=(
            "self.dof + self.rows.shape[1] - 1",
            "self.dof + self.rows.shape[1]",
        ),
        density_factor=("np.sqrt(dof / self.dof)", "np.sqrt(self.dof / dof)"),
        density_ratio=(
            "gammaln(n_features / 2) - betaln",
            "gammaln(n_features / 2) + betaln",
        ),
        density_volume=("np.log(np.pi * self.dof)", "np.log(np.pi)"),
        density_bandwidth=("(log_radius + self.rows.log_bandwidth)", "log_radius"),
        evidence_by_rows=("@ density) / self.total", "@ density) / len(density)"),
    ),
    *mutants(
        "clustering/_scaled_rows.py",
        (CLUSTERING, GRADIENTS),
        density_unit=("np.log(self.h) + np.log(self.unit)", "np.log(self.h)"),
    ),
    *mutants(
        "kernels/graphs.py",
        ("tests/kernels/test_graphs.py",),
        columns_in_the_given_order=(
            "place[graph.columns[first + t]]",
            "graph.columns[first + t]",
        ),
        rows_in_the_given_order=("graph.edges[order[r]], ren", "graph.edges[r], ren"),
    ),
    *mutants(
        "tsne/_numbering.py",
        ("tests/tsne/test_numbering.py",),
        axes_in_one=("bit * n_axes + axis", "bit * n_axes"),
        numbered_always=("self._next = 2 * self._age", "self._next = self._age"),
        not_put_back=("else self._order] = theirs", "else slice(None)] = theirs"),
        infinite_map=(" or not np.isfinite(Y).all()", ""),
    ),
    *mutants(
        "tsne/_objective.py",
        (EMBEDDING, GRADIENTS),
        joint_half=("total = 2 * Z.sum", "total = Z.sum"),
        joint_log=("np.log(total) - self._energy", "np.log(total) + self._energy"),
        not_exaggerated=("2 * exaggeration", "2"),
        joint_nearest_of_each=("near[:] = near.min()", "pass"),
        conditional_inverse=("[1 / Z, 1 / Z]", "[Z, Z]"),
        conditional_log=(
            "np.log(Z.astype(np.float64)) -",
            "np.log(Z.astype(np.float64)) +",
        ),
        energy_twice=("(dof + 1) / 2 * np.log1p", "(dof + 1) * np.log1p"),
        energy_once=("energy *= 2", "pass"),
        without_negentropy=("P.negentropy + energy", "energy"),
        without_mass=("np.sum(log_Z * P.mass)", "np.sum(log_Z)"),
    ),
    *mutants(
        "clustering/_optimizers.py",
        (OPTIMIZERS, RATE),
        momentum=("self.momentum * self.velocity + step", "self.velocity + step"),
        restart=(
            "np.vdot(self.velocity, step) < 0",
            "np.vdot(self.velocity, step) > 0",
        ),
        slow_momentum=("min(self.momentum, SLOW_MOMENTUM)", "SLOW_MOMENTUM"),
        running_mean=("rate * (stiffness - self.stiffness)", "rate * stiffness"),
        batch_stiffness=("_stiffness(sums) / sums.weight", "_stiffness(sums)"),
        first_batches=("max(1 / self.n_steps, CURVATURE_RATE)", "CURVATURE_RATE"),
        light_batches=("max(sums.weight, self.weight)", "sums.weight"),
        settling=("SETTLING / (SETTLING + self.n_steps)", "1 / (1 + self.n_steps)"),
        dying=("np.maximum(sums.curvature, DYING * sums.repulsion)", "sums.curvature"),
        uphill=("return -np.divide(", "return np.divide("),
    ),
    *mutants(
        "tsne/_neighbors.py",
        ("tests/tsne/test_neighbors.py",),
        first_left_out=("keep[keep.all(axis=1), -1]", "keep[keep.all(axis=1), 0]"),
    ),
    *mutants(
        "tsne/_distances.py",
        ("tests/tsne/test_neighbors.py -k parallel",),
        cosines_in_single=('np.float64 if metric == "cosine" else X', "X"),
    ),
    *mutants(
        "tsne/_metric_params.py",
        ("tests/tsne/test_neighbors.py -k names_of",),
        minkowski_by_products=('if metric == "minkowski":', "if False:"),
    ),
    *mutants(
        "tsne/_cosine_search.py",
        ("tests/tsne/test_cosine_search.py",),
        nowhere_at_once=("np.ones(shape)", "np.zeros(shape)"),
        itself_among_nowhere=("columns += columns >= own[:, None]", "pass"),
    ),
    *mutants(
        "tsne/_initialization.py",
        ("tests/tsne/test_progress.py",),
        silent_spectrum=("S if told is None else _counted(S, told)", "S"),
    ),
    *mutants(
        "clustering/_self_training.py",
        ("tests/clustering/test_estimator.py -k nearly_all",),
        heavy_batch_is_all=("whole = share is None", "whole = share in (None, 1)"),
    ),
    *mutants(
        "utils/weights.py",
        ("tests/clustering/test_estimator.py -k beside_a_much",),
        least_of_double=("np.float32): 1e-30", "np.float32): 1e-290"),
    ),
    *mutants(
        "encoders/_base.py",
        ("tests/encoders/test_linear.py -k scale_of_sparse",),
        variances_in_single=("rows = X.astype(np.float64) / unit", "pass"),
    ),
    *mutants(
        "kernels/graphs.py",
        ("tests/kernels/test_graphs.py",),
        halves_of_halves=(
            "            elif j > r:\n                inner += 1",
            "            elif j > r + 1:\n                inner += 1",
        ),
    ),
    *mutants(
        "kernels/embedding_fused.py",
        ("tests/kernels/test_graphs.py -k attraction_of_halves",),
        one_end_alone=("back[2] -= f_z", "pass"),
    ),
    *mutants(
        "tsne/_objective.py",
        ("tests/tsne/test_numbering.py",),
        half_of_the_energy=(
            "2 * self._energies(graph.inner, Y)",
            "self._energies(graph.inner, Y)",
        ),
    ),
    *mutants(
        "clustering/_watch.py",
        (WATCH,),
        unit_of_weights=("objective.weights.restore(", "float("),
        every_check=("or number % self.every", ""),
        called_after_stop=("or self.stopped or", "or"),
    ),
    *mutants(
        "clustering/_self_training.py",
        (WATCH,),
        seen_after_step=(
            "self.history, objective, self.anchors",
            "self.history, objective, self.centers",
        ),
    ),
    *mutants(
        "tsne/_schedule.py",
        (OPTIMIZERS, RATE),
        rate_dof=("(1 + 1 / nu) / 2", "(1 + nu) / 2"),
        rate_exponent=("(2 / (nu + 1))", "(1 / (nu + 1))"),
        rate_one_component=(
            "return rate / 2 if n_components == 1",
            "return rate if True",
        ),
        middle=("(early * late) ** 0.5", "(early + late) / 2"),
        stops=("early_iter, unfolded - UNFOLDING,", "early_iter, UNFOLDING,"),
        no_transition=("TRANSITION if early_iter else 0", "TRANSITION"),
    ),
    *mutants(
        "tsne/_schedule.py",
        (SPREAD,),
        spread_exaggerated=(" or exaggeration > 1:", ":"),
        spread_light_tails=("or kernel.dof > 1 ", ""),
        spread_few=("min(1.0, USUAL_SIZE / n_samples)", "USUAL_SIZE / n_samples"),
    ),
    *mutants(
        "tsne/_fit.py",
        (SPREAD,),
        spread_unasked=("n_samples, _late(params))", "n_samples)"),
    ),
    *mutants(
        "utils/validation.py",
        (MASKED,),
        masked_rows=('check_unmasked(X, "X")', "pass"),
        masked_arguments=("check_unmasked(array, name)", "pass"),
    ),
    *mutants(
        "tsne/_held.py",
        (CONTINUED,),
        twin_moves=("np.flatnonzero(fixed[leaders])", "rows"),
        twins_in_two_places=("if len(apart):", "if len(apart) > 1:"),
        rounded_place=("embedding[self.held] = self.held_at", "pass"),
    ),
    *mutants(
        "tsne/_fit.py",
        (CONTINUED,),
        exaggerated_again=("phases = phases[-1:]", "phases = phases[:]"),
        unheld=("held if len(held) else None,", "None,"),
    ),
    *mutants(
        "tsne/_gradient_descent.py",
        ("tests/tsne/test_progress.py -k came_to_rest",),
        flat_after_one=("n_iter - history[-2][0] >= CHECK_EVERY", "True"),
    ),
    *mutants(
        "tsne/_gradient_descent.py",
        (HISTORY,),
        called_decides=(
            "if stopped or due:",
            "if stopped or due or progress.awaits(n_iter):",
        ),
        told_exaggerated=("norm, phase.exaggeration)", "norm, 1.0)"),
    ),
    *mutants(
        "plotting/_colors.py",
        ("tests/plotting/test_colors.py",),
        cube_root=("(24389 / 27 * xyz + 16) / 116", "(24389 / 27 * xyz + 16) / 160"),
        farthest=("np.argmax(apart)", "np.argmin(apart)"),
        last_alone=(
            "np.minimum(apart, _difference(places, places[:, best, None]))",
            "_difference(places, places[:, best, None])",
        ),
        normal_alone=(
            "np.minimum(apart[0] / NORMAL, apart[1:].min(axis=0))",
            "apart[0]",
        ),
        all_alike=("apart[0] / NORMAL", "apart[0]"),
    ),
    *mutants(
        "plotting/_labels.py",
        ("tests/plotting/test_labels.py",),
        worst_match=("linear_sum_assignment(-counts)", "linear_sum_assignment(counts)"),
        shared_number=("classes.n_colors + np.arange", "np.arange"),
        none_counts=("counts[:, theirs == NO_CLUSTER] = 0, 0", "counts[:, []] = 0, 0"),
    ),
    *mutants(
        "plotting/_density.py",
        ("tests/plotting/test_embedding.py -k 'density or crowding or faint'",),
        plain_mean=("float(counts @ counts / counts.sum())", "float(counts.mean())"),
        mean_color=("/ counts[there]\n", "/ counts.max()\n"),
        opaque=("np.log(counts) / np.log(most)", "counts / most"),
        diameter=("np.sqrt(4 * COVER", "np.sqrt(9 * COVER"),
    ),
    *mutants(
        "tsne/_gradient_descent.py",
        (OPTIMIZERS, RATE),
        longest_step=(
            "max(objective.kernel.width, 1.0)",
            "max(float(objective.kernel.dof), 1.0)",
        ),
        small_gradient=("norm <= self.min_grad_norm", "norm >= self.min_grad_norm"),
        patience=(
            "n_iter - best_iter > self.patience",
            "n_iter - best_iter >= self.patience",
        ),
        tolerance=("self.tol * abs(kl)", "self.tol"),
        rising=("0 <= history[-2][1] - kl <", "history[-2][1] - kl <"),
        flat_in_any_phase=("and history[-2][0] >= last", ""),
        rest_at_one_point=("if self.coincides(kl):", "if False:"),
        last_iteration=(
            "stopped |= n_iter >= phase.stop",
            "stopped |= n_iter > phase.stop",
        ),
    ),
    *mutants(
        "functions/_embedding.py",
        (GRADIENTS,),
        always_joint=('joint = normalization == "joint"', "joint = True"),
    ),
    *mutants(
        "functions/_embedding.py",
        ("tests/tsne/test_grid.py -k loss",),
        loss_by_pairs=("repulsion=repulsion,", 'repulsion="pairs",'),
        grid_unchecked=("check_grid(similarity, Y.shape[1])", "pass"),
        way_untold=("(kl, grad_Y, objective.repulsion)", "(kl, grad_Y, repulsion)"),
    ),
    *mutants(
        "functions/_embedding.py",
        (AFFINITIES, EMBEDDING, NEIGHBOURS),
        joint_once=("(P + P.T) / (2 * len(P))", "(P + P.T) / len(P)"),
    ),
    *mutants(
        "tsne/_affinities.py",
        (AFFINITIES, EMBEDDING, NEIGHBOURS),
        chance_with_itself=("n * (n - 1) if total", "n * n if total"),
        chance_sign=(
            "self.negentropy + total * np.log",
            "self.negentropy - total * np.log",
        ),
        half_matrix=("(P[i, following] + P[following, i]) / 2", "P[i, following]"),
        half_matrix_row=("i >= n // 2))", "i > n // 2))"),
        several_scales=("total * len(total)", "total"),
        negentropy_once=("= 2 * pieces", "= pieces"),
        graph_mass=(
            "graph.sums.mass if joint else",
            "graph.sums.mass if not joint else",
        ),
        truncated=(
            "1 - np.average(kept, weights=share)",
            "np.average(kept, weights=share)",
        ),
        truncated_itself=("columns[own[b]], axis", "columns[b], axis"),
        sigma_squared=("1 / np.sqrt(beta[beta > 0])", "1 / beta[beta > 0]"),
        callable_joint=("whole /= 2 * total", "whole /= total"),
        block_short=(
            "min((block + 1) * size, n_rows)",
            "min((block + 1) * size, n_rows - 1)",
        ),
    ),
    *mutants(
        "tsne/_graph.py",
        (AFFINITIES,),
        in_edges_of_the_last_rows=("before[1:] += np", "before[1:] = np"),
        stripes_of_rows=("n_edges * np.arange", "len(edges_before) * np.arange"),
        keys_not_sorted=("keys.sort(axis=1)", "pass"),
        not_closed_up=(
            "part[edges[first] : edges[last]] = part",
            "part[start : start + length] = part",
        ),
    ),
    *mutants(
        "utils/duplicates.py",
        ("tests/utils/test_duplicates.py",),
        hash_of_last_column=("h ^= column", "h[:] = column"),
        hash_of_high_bits=("h ^= h >> np.uint64(32)", "pass"),
        none_alike=("count[which] > 1", "count[which] > 2"),
        first_of_alike=(
            "= alike[first_occurrences(row_keys(X[alike]))]",
            "= first_occurrences(row_keys(X[alike]))",
        ),
        candidates_but_the_last=('side="right")', 'side="left")'),
        last_of_known=("known.setdefault(key, i)", "known[key] = i"),
        no_zero_of_minus_zero=("X + X.dtype.type(0))", "X)"),
    ),
    *mutants(
        "tsne/_checks.py",
        ("tests/utils/test_memory.py",),
        neighbour_P_once=("P = 2 * n_samples", "P = n_samples"),
        neighbour_lists=("n_neighbors * (8 + 8)", "n_neighbors * 8"),
        neighbour_rows=("each = 8 + 4", "each = 8"),
        start_spectral=("n_neighbors * (8 + 4 + 8 + 8)", "n_neighbors * 8"),
        given_P=("P.nnz * BYTES_OF_AFFINITY", "P.nnz"),
        function_metric=("2 * 8 * n_samples**2", "8"),
    ),
    *mutants(
        "tsne/_fit.py",
        ("tests/utils/test_memory.py",),
        small_weights=("n_neighbors *= 2 * n_points / total", "pass"),
    ),
    *mutants(
        "utils/threads.py",
        ("tests/utils/test_threads.py -k keep_nothing",),
        last_call=("call = None", "pass"),
    ),
    *mutants(
        "tsne/_distances.py",
        (AFFINITIES, EMBEDDING, NEIGHBOURS),
        sigma_not_squared=(
            "min(self.unit / sigma, FARTHEST) ** 2",
            "min(self.unit / sigma, FARTHEST)",
        ),
    ),
    *mutants(
        "tsne/_blocked.py",
        ("tests/tsne/test_on_dask.py -k 'not new and not cluster'",),
        unit_of_blocks=("scale * self._centring.spread", "scale"),
        sign_of_axes=("np.where(largest < 0, -1.0, 1.0)", "1.0"),
        scales_of_the_first=("np.concatenate(part, axis=-1)", "part[0]"),
    ),
    *mutants(
        "clustering/_init.py",
        ("tests/clustering/test_starts.py -k 'estimator or labels'",),
        noise_counts=("(labels >= 0) & (weight", "(labels >= -1) & (weight"),
        labels_without_weight=(" & (weight > 0)", ""),
        rows_without_weight=("Weights(sample.weight)", "Weights(None)"),
        seed_of_its_own=("set_params(**{name: rng", "set_params(**{name: 0 * rng"),
    ),
    *mutants(
        "clustering/_joint_training.py",
        ("tests/clustering/test_joint_training.py -k origin",),
        origin_goes_along=(
            "objective_about(Z, self.weights, self.reference, form",
            "objective_about(Z, self.weights, Z.mean(axis=0)[None], form",
        ),
    ),
    *mutants(
        "clustering/_fixed_embedding.py",
        ("tests/clustering/test_joint_training.py -k of_an_estimator",),
        clusters_given_up=("if carrier.starts.own_clusters:", "if False:"),
    ),
    *mutants(
        "utils/memory.py",
        ("tests/utils/test_memory.py -k containers",),
        cache_is_taken=("limit - usage + float(cache)", "limit - usage"),
        own_group_alone=("for group in (own, *above)", "for group in (own,)"),
    ),
    *mutants(
        "tsne/_block_tasks.py",
        ("tests/tsne/test_on_dask.py -k 'not new and not cluster'",),
        itself_counts=("len(others) - int(0 <= own[0] < len(others))", "len(others)"),
        within_first=("best.distances[:, -1]", "best.distances[:, 0]"),
        itself_elsewhere=("start + len(rows)) - first", "start + len(rows))"),
        ties_by_run=("merged([best, found]", "merged([found, best]"),
        last_identical=("(known < 0) & (part >= 0)", "part >= 0"),
    ),
    *mutants(
        "tsne/_neighbors.py",
        ("tests/tsne/test_neighbors.py",),
        tree_of_no_metric=('"brute" if metric in NO_METRICS', '"auto" if metric'),
        last_of_equal=("equal[: n - len(below)]", "equal[len(below) - n :]"),
    ),
    *mutants(
        "tsne/_sparse_search.py",
        ("tests/tsne/test_sparse_search.py",),
        found_itself=(
            "self._norms, own)\n        if",
            "self._norms, None)\n        if",
        ),
    ),
    *mutants(
        "tsne/_products.py",
        ("tests/tsne/test_sparse_search.py",),
        products_that_lose=("return least < CANC", "return least < -CANC"),
    ),
    *mutants(
        "tsne/_gradient_descent.py",
        ("tests/tsne/test_copies.py",),
        gradient_of_one=("_share(gradient, self", "id(self"),
    ),
    *mutants(
        "tsne/_left_out.py",
        ("tests/diagnostics/test_reliability.py",),
        end_of_lists=("(1 + ROUNDING)", "(1 - ROUNDING)"),
    ),
    *mutants(
        "utils/numbers.py",
        ("tests/tsne/test_distances.py -k apart",),
        centre_of_all=("np.median(some[:, b]", "np.mean(some[:, b]"),
    ),
    *mutants(
        "tsne/_products.py",
        ("tests/tsne/test_distances.py -k 'alone or lose'",),
        product_with_the_first=("rows, others[j])", "rows, others[n])"),
        differences_of_the_first=(
            "for first in range(0, len(i), n_pairs):",
            "for first in (0,):",
        ),
        differences_of_other_rows=("i = some[i]", "i = near[i]"),
    ),
    *mutants(
        "tsne/_bfgs.py",
        (OPTIMIZERS, TRANSFORM),
        uphill=('-np.einsum("rij,rj->ri", inverse', 'np.einsum("rij,rj->ri", inverse'),
        radius=(
            "np.minimum(1, radius / np.maximum(length, LEAST_LENGTH))",
            "radius / np.maximum(length, LEAST_LENGTH)",
        ),
        armijo_sign=("start_value + ARMIJO", "start_value - ARMIJO"),
        doubling=("length / 2", "length * 2"),
        limit=(
            '"ri,ri->r", there, there) <= limit**2\n        done',
            '"ri,ri->r", there, there) <= limit\n        done',
        ),
        never_crawls=("(taken.share <= CRAWLING)", "(taken.share < 0)"),
        curvature=("np.eye(V.shape[1]) / curvature", "np.eye(V.shape[1]) * curvature"),
        bfgs_scale=("rho * (1 + rho *", "rho * (1 - rho *"),
        bfgs_cross=("H - cross - cross", "H - cross + cross"),
        bfgs_outer=("s[:, :, None] * s[:, None, :]", "s[:, :, None] * y[:, None, :]"),
        bfgs_difference=("taken.gradient - gradient", "gradient - taken.gradient"),
    ),
    *mutants(
        "tsne/_placement.py",
        (OPTIMIZERS, TRANSFORM),
        of_another_map=("not np.array_equal(fitted.embedding, embedding)", "False"),
        worse_start=(
            "at_start.value > at_nearest.value",
            "at_start.value < at_nearest.value",
        ),
        worse_value=("value[worse] = other[worse]", "pass"),
        center=("Placed(V + fitted.center", "Placed(V"),
        rim=("> OUTSIDE * fitted.reach", "> RIM * fitted.reach"),
    ),
]

EQUIVALENT = {
    "clustering/_memberships:common_factor": (
        "p does not depend on a common factor of the f_j^−b"
    ),
    "tsne/_objective:without_mass": (
        "the mass is 1 for every row, or in all under joint normalisation"
    ),
}


def make_copy(root):
    """The tree as it is, without what Python has compiled."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, root / name, ignore=ignored)
        else:
            shutil.copy2(ROOT / name, root / name)


def change(root, mutant):
    """Make a mutant of the copy."""
    source = root / mutant.file
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


def fails(root, tests, compiled):
    """How the tests fail in the copy; nothing if they pass."""
    arguments = shlex.split(tests)
    environment = {
        **os.environ,
        "PYTHONPATH": str(root),
        # a change within a second that keeps the length would go unnoticed
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_CACHE_DIR": str(compiled),
        "NUMBA_DISABLE_JIT": str(int(arguments[0] in INTERPRETED)),
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    try:
        run = subprocess.run(
            [*command, *arguments],
            cwd=root,
            env=environment,
            timeout=TIMEOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except subprocess.TimeoutExpired:
        return "timeout"
    if run.returncode > 1:
        sys.exit(f"pytest {tests} did not run:\n{run.stdout}")
    return {0: "", 1: "killed"}.get(run.returncode, "crashed")


def verdict(mutant, root, compiled):
    """Whether a mutant is killed, and how, or survives all its tests."""
    make_copy(root)
    change(root, mutant)
    for tests in mutant.tests:
        if how := fails(root, tests, compiled):
            return how
    return "equivalent" if mutant.name in EQUIVALENT else "survived"


def check_originals(chosen, root, compiled):
    """Stop unless the tests pass without any mutant."""
    make_copy(root)
    for tests in dict.fromkeys(tests for mutant in chosen for tests in mutant.tests):
        if how := fails(root, tests, compiled):
            sys.exit(f"without a mutant {tests} fails: {how}")
        print(f"passes unchanged: {tests}", flush=True)


def check_table():
    """Stop if a mutant no longer fits its file, or a name does not tell it apart."""
    names = Counter(mutant.name for mutant in MUTANTS)
    if wrong := [name for name, count in names.items() if count > 1]:
        sys.exit(f"more than one mutant is called {', '.join(wrong)}")
    if wrong := EQUIVALENT.keys() - names.keys():
        sys.exit(f"EQUIVALENT names no mutant: {', '.join(wrong)}")
    for mutant in MUTANTS:
        count = (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old)
        if count != 1:
            sys.exit(
                f"{mutant.name}: {mutant.old!r} occurs {count} times in {mutant.file}"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", metavar="NAME", nargs="+", default=[""], help="parts of names"
    )
    parser.add_argument("--list", action="store_true", help="print the names alone")
    options = parser.parse_args()
    check_table()
    chosen = [m for m in MUTANTS if any(part in m.name for part in options.only)]
    if not chosen:
        sys.exit(f"no mutant has {' or '.join(options.only)} in its name")
    if options.list:
        print(*(mutant.name for mutant in chosen), sep="\n")
        return
    found, begun = {}, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        # always the same path: numba's cache goes by it
        root, unchanged = Path(folder, "copy"), Path(folder, "unchanged")
        check_originals(chosen, root, unchanged)
        for mutant in chosen:
            start = time.monotonic()
            # numba does not see that a kernel has changed which another file calls
            changed = "kernels" in mutant.file
            compiled = Path(folder, mutant.name) if changed else unchanged
            found[mutant.name] = verdict(mutant, root, compiled)
            seconds = time.monotonic() - start
            print(
                f"{mutant.name:45}{found[mutant.name]:12}{seconds:4.0f} s", flush=True
            )
    report(chosen, found)
    print(f"{time.monotonic() - begun:.0f} s")
    real = [name for name in found if found[name] != "equivalent"]
    killed = sum(found[name] != "survived" for name in real)
    if killed < WANTED * len(real):
        sys.exit(f"only {killed} of {len(real)} mutants were noticed")


def report(chosen, found):
    """Print what became of the mutants of each file, and who survived."""
    print(f"\n{'file':32}{'mutants':>8}{'killed':>8}{'survived':>10}{'equivalent':>12}")
    for file in dict.fromkeys(mutant.file for mutant in chosen):
        ends = Counter(found[mutant.name] for mutant in chosen if mutant.file == file)
        survived, equivalent = ends["survived"], ends["equivalent"]
        killed = ends.total() - survived - equivalent
        print(f"{file:32}{ends.total():8}{killed:8}{survived:10}{equivalent:12}")
    for name, end in found.items():
        if end == "survived":
            print(f"survived: {name}")
        elif end == "equivalent":
            print(f"equivalent: {name} ({EQUIVALENT[name]})")
        elif name in EQUIVALENT:
            print(f"noticed, though said to be equivalent: {name}")


if __name__ == "__main__":
    main()
