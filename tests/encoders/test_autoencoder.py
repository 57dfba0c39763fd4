"""AutoencoderEncoder: its steps against torch.autograd, and as an estimator."""

import copy
import math
import pickle
import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from benchmarks.data import accuracy
from skdec import StudentTClustering, clustering_loss, target_distribution
from skdec.encoders import AutoencoderEncoder

torch = pytest.importorskip("torch", reason="needs the extra 'deep'")

BLOBS, TRUTH = make_blobs(150, n_features=6, centers=3, random_state=1)
SHARED = torch.nn.Linear(6, 6)
SMALL = {"hidden_dims": (16, 2), "epochs": 5, "random_state": 0}
DEVICES = ["cpu", *["cuda"] * torch.cuda.is_available()]
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

pytestmark = pytest.mark.usefixtures("one_torch_thread", "device")


@pytest.fixture(params=DEVICES)
def device(request, monkeypatch):
    """Where the networks of ``small`` are: every test runs on each device there is."""
    monkeypatch.setitem(SMALL, "device", request.param)
    return request.param


def small(**parameters):
    return AutoencoderEncoder(**{**SMALL, **parameters})


def on_cpu(encoder):
    """Copies of the networks, on the CPU."""
    return [copy.deepcopy(m).cpu() for m in (encoder.encoder_, encoder.decoder_)]


def parameters_of(encoder):
    return [p.detach() for module in on_cpu(encoder) for p in module.parameters()]


# ------------------------------------------------------------------------- gradients
def dec_loss(pair, x, centers, P, weight, dof, gamma):
    """The whole of DEC's loss on tensors, as a user of PyTorch would write it."""
    z = pair[0](x)
    D = (z[:, None] - centers).square().sum(dim=2)
    s = (1 + D / dof) ** (-(dof + 1) / 2)
    Q = s / s.sum(dim=1, keepdim=True)
    rows = (P * (P.log() - Q.log())).sum(dim=1)
    rows = rows + gamma * (pair[1](z) - x).square().mean(dim=1)
    return (weight * rows).mean()


@pytest.mark.parametrize("dof", [1.0, 2.5])
@pytest.mark.parametrize("gamma", [0.0, 3.0])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_steps_are_those_of_autograd(dof, gamma, activation, rng):
    rate = 0.1
    encoder = small(
        optimizer=lambda parameters, lr: torch.optim.SGD(parameters, lr=lr),
        clustering_rate=rate,
        reconstruction_weight=gamma,
        activation=activation,
    ).fit(BLOBS)
    weight = rng.uniform(0.5, 2, len(BLOBS))
    Z = encoder.transform(BLOBS)
    centers = Z[[0, 50, 100]]
    P = target_distribution(rng.dirichlet(np.ones(3), len(BLOBS)))
    before = parameters_of(encoder)
    tensors = [
        torch.as_tensor(array, dtype=torch.float32)
        for array in ((BLOBS - encoder.mean_) / encoder.scale_, centers, P, weight)
    ]
    pair = on_cpu(encoder)
    loss = dec_loss(pair, *tensors, dof, gamma)
    wanted = [p for module in pair for p in module.parameters()]
    slopes = torch.autograd.grad(loss, wanted, allow_unused=True)

    def gradient(Z):
        loss = clustering_loss(Z, centers, dof=dof, P=P, sample_weight=weight)
        return loss[1]

    encoder.step(BLOBS, gradient, sample_weight=weight)
    after = parameters_of(encoder)
    largest = max(float(slope.abs().max()) for slope in slopes if slope is not None)
    for old, new, slope in zip(before, after, slopes, strict=True):
        expected = torch.zeros_like(old) if slope is None else slope
        # relative to the largest entry, and what the difference of weights rounds
        assert_allclose(
            (old - new) / rate, expected, rtol=1e-5, atol=1e-5 * max(largest, 1)
        )
    decoder = slice(len(before) // 2, None)
    moved = [
        not torch.equal(old, new)
        for old, new in zip(before[decoder], after[decoder], strict=True)
    ]
    assert all(moved) if gamma else not any(moved)


# --------------------------------------------------------------------- pre-training
def test_pretraining_restores_the_rows():
    encoder = small(epochs=100, hidden_dims=(64, 4), dropout=0.0).fit(BLOBS)
    assert len(encoder.loss_history_) == 100
    assert encoder.loss_history_[-1] < 0.1 < encoder.loss_history_[0]
    restored = encoder.inverse_transform(encoder.transform(BLOBS))
    error = np.mean((restored - BLOBS) ** 2) / encoder.scale_**2
    assert_allclose(error, encoder.loss_history_[-1], rtol=0.3)
    Z = encoder.transform(BLOBS.astype(np.float32))
    Z.flags.writeable = False
    assert encoder.inverse_transform(Z).dtype == np.float32
    # dropout makes it harder
    assert small(epochs=100, dropout=0.5).fit(BLOBS).loss_history_[-1] > 2 * error


def test_the_same_seed_gives_the_same_networks():
    before = torch.get_rng_state()
    first, second = small().fit(BLOBS), small().fit(BLOBS)
    assert torch.equal(torch.get_rng_state(), before)
    assert_array_equal(first.transform(BLOBS), second.transform(BLOBS))
    other = small(random_state=1).fit(BLOBS)
    assert np.abs(first.transform(BLOBS) - other.transform(BLOBS)).max() > 1e-3


def test_weights_of_rows(rng):
    weight = rng.integers(0, 4, len(BLOBS))
    settings = {"epochs": 20, "dropout": 0.0, "batch_size": 1000}
    weighted = small(**settings).fit(BLOBS, sample_weight=weight)
    repeated = small(**settings).fit(np.repeat(BLOBS, weight, axis=0))
    assert_allclose(weighted.mean_, repeated.mean_)
    assert_allclose(weighted.scale_, repeated.scale_)
    assert_allclose(weighted.loss_history_, repeated.loss_history_, rtol=1e-4)
    assert_allclose(weighted.transform(BLOBS), repeated.transform(BLOBS), atol=1e-3)
    plain = small(**settings).fit(BLOBS)
    assert np.abs(weighted.transform(BLOBS) - plain.transform(BLOBS)).max() > 1e-2


def test_modules_of_ones_own():
    pair = torch.nn.Linear(6, 3), torch.nn.Linear(3, 6)
    weights = pair[0].weight.detach().clone()
    encoder = small(modules=pair, epochs=0).fit(BLOBS)
    assert encoder.transform(BLOBS).shape == (150, 3)
    assert torch.equal(encoder.encoder_.weight.cpu(), weights)
    encoder.step(BLOBS, np.ones_like)
    clone(encoder).set_params(epochs=3).fit(BLOBS)
    assert torch.equal(pair[0].weight, weights)
    assert not torch.equal(encoder.encoder_.weight.cpu(), weights)


def in_place_at_first(inplace):
    """A pair of networks each of which begins with what may work in place."""
    torch.manual_seed(0)
    layers = [torch.nn.Linear(6, 4), torch.nn.Linear(4, 6)]
    return [
        torch.nn.Sequential(torch.nn.LeakyReLU(0.1, inplace), layer) for layer in layers
    ]


@pytest.mark.parametrize("gamma", [0.0, 10.0])
@pytest.mark.parametrize("augment", [None, lambda x, generator: x])
def test_layers_that_work_in_place_learn_the_same(augment, gamma, rng):
    """What they overwrite is what is to be restored, or the embedding itself."""
    G, learned = rng.normal(size=(len(BLOBS), 4)), []
    for inplace in (False, True):
        encoder = small(
            modules=in_place_at_first(inplace), epochs=3, dropout=0.0, whiten=False,
            augment=augment, reconstruction_weight=gamma,
        ).fit(BLOBS)  # fmt: skip
        for _ in range(3):
            encoder.step(BLOBS, lambda Z, *at: G)
        learned.append([*parameters_of(encoder), encoder.loss_history_])
    for one, other in zip(*learned, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_decoded_rows_are_in_the_units_of_X(scale):
    encoder, other = (small().fit(BLOBS * unit) for unit in (1.0, scale))
    decoded = encoder.inverse_transform(encoder.transform(BLOBS))
    found = other.inverse_transform(other.transform(BLOBS * scale))
    assert_allclose(found / scale, decoded, rtol=1e-3)


def test_a_copy_may_be_trained_further():
    copied = small(epochs=1).fit(BLOBS).pretrained_copy(epochs=2)
    assert len(copied.fit(BLOBS).loss_history_) == 2


def test_copies_of_one_pretraining():
    encoder = small().fit(BLOBS)
    copied = encoder.pretrained_copy(reconstruction_weight=0.0)
    assert copied.reconstruction_weight == 0
    assert not hasattr(copied, "mean_")
    assert_array_equal(copied.fit(BLOBS).transform(BLOBS), encoder.transform(BLOBS))
    again = encoder.pretrained_copy()
    before = encoder.transform(BLOBS)
    for other in (copied, encoder):
        other.step(BLOBS, np.ones_like)
        assert np.abs(other.transform(BLOBS) - before).max() > 0
    # neither moves what a copy begins with, wherever it is taken
    for other in (again, pickle.loads(pickle.dumps(again))):
        assert_array_equal(other.fit(BLOBS).transform(BLOBS), before)


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.inference_mode])
def test_lazy_layers_learn(mode):
    with warnings.catch_warnings():
        # PyTorch told of lazy layers that they may change
        warnings.filterwarnings("ignore", "Lazy modules", UserWarning)
        modules = torch.nn.LazyLinear(2), torch.nn.LazyLinear(6)
    with mode():
        encoder = small(modules=modules, epochs=20, learning_rate=0.01).fit(BLOBS)
    assert encoder.loss_history_[-1] < encoder.loss_history_[0]
    assert encoder.transform(BLOBS).shape == (150, 2)


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_learning_where_gradients_are_off(off):
    expected = small().fit(BLOBS).step(BLOBS, lambda Z: Z)
    with off():
        encoder = small().fit(BLOBS).step(BLOBS, lambda Z: Z)
    assert_array_equal(encoder.transform(BLOBS), expected.transform(BLOBS))


def test_networks_are_in_single_precision_whatever_is_the_default():
    expected, before = small().fit(BLOBS), torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        encoder = small().fit(BLOBS)
    finally:
        torch.set_default_dtype(before)
    assert_array_equal(encoder.transform(BLOBS), expected.transform(BLOBS))


def test_modules_that_heed_training():
    """Batch normalisation learns in pre-training, and rests while clusters form."""
    pair = (
        torch.nn.Sequential(torch.nn.BatchNorm1d(6), torch.nn.Linear(6, 2)),
        torch.nn.Linear(2, 6),
    )
    encoder = small(modules=pair, epochs=2).fit(BLOBS)
    assert not encoder.encoder_.training
    norm = encoder.encoder_[0][0]
    running = norm.running_mean.clone()
    assert running.abs().max() > 0 or norm.num_batches_tracked > 0
    seen, expected = [], encoder.transform(BLOBS[:5])
    encoder.encoder_.train()  # as anybody may leave it
    encoder.step(BLOBS[:5], lambda Z: seen.append(Z) or np.zeros_like(Z))
    assert torch.equal(norm.running_mean, running)
    assert_allclose(seen[0], expected, rtol=1e-5, atol=1e-6)
    # whatever mode the caller leaves the network in
    expected = encoder.transform(BLOBS[:5])
    encoder.encoder_.train()
    assert_array_equal(encoder.transform(BLOBS[:5]), expected)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", torch.optim.AdamW])
@pytest.mark.parametrize("activation", ["gelu", torch.nn.Softplus])
def test_optimizers_and_activations(optimizer, activation):
    encoder = small(epochs=30, optimizer=optimizer, activation=activation)
    losses = encoder.fit(BLOBS).loss_history_
    assert losses[-1] < losses[0]


def test_the_rate_of_pretraining():
    """Half a cosine of it, or all of it in every step; clusters have their own."""
    rates = []

    class Spy(torch.optim.SGD):
        def step(self, *args, **kwargs):
            rates.append(self.param_groups[0]["lr"])
            return super().step(*args, **kwargs)

    # 3 epochs of 4 batches, of the rows that have a weight
    weight = np.r_[np.zeros(50), np.ones(100)]
    settings = {"epochs": 3, "batch_size": 26, "learning_rate": 0.01, "optimizer": Spy}
    for schedule in ("cosine", "constant"):
        rates.clear()
        encoder = small(learning_rate_schedule=schedule, **settings)
        encoder.fit(BLOBS, sample_weight=weight)
        expected = np.full(12, 0.01)
        if schedule == "cosine":
            expected *= [(1 + math.cos(math.pi * t / 12)) / 2 for t in range(12)]
        assert_allclose(rates, expected, rtol=1e-12)
        for _ in range(2):
            encoder.step(BLOBS, np.zeros_like)
        assert rates[12:] == 2 * [encoder.clustering_rate]
    small(learning_rate_schedule="cosine", epochs=0).fit(BLOBS)


def test_a_rate_that_nothing_can_change():
    class Own:
        def __init__(self, parameters, lr):
            self.optimizer = torch.optim.SGD(parameters, lr=lr)
            self.step, self.zero_grad = self.optimizer.step, self.optimizer.zero_grad

    small(optimizer=Own).fit(BLOBS)
    encoder = small(optimizer=Own, learning_rate_schedule="cosine")
    with pytest.raises(ValueError, match=r"must return a torch.*Optimizer.* got Own"):
        encoder.fit(BLOBS)


def test_whitening_changes_units_alone(rng):
    X = rng.normal(size=(150, 6)) * [3, 3, 1, 1, 1, 1] + 5
    weight = rng.integers(0, 3, len(X))
    plain, white = (
        small(whiten=whiten).fit(X, sample_weight=weight) for whiten in (False, True)
    )
    Z, W = plain.transform(X), white.transform(X)
    assert_allclose(np.average(W, axis=0, weights=weight), 0, atol=1e-5)
    covariance = np.cov(W.T, aweights=weight, ddof=0)
    assert_allclose(covariance, np.eye(2), atol=1e-4)
    assert np.abs(np.cov(Z.T, aweights=weight, ddof=0) - np.eye(2)).max() > 0.1
    restored = plain.inverse_transform(Z)
    assert_allclose(white.inverse_transform(W), restored, rtol=1e-3, atol=1e-3)
    # a row of no weight has no part in it, wherever it is
    far = X.copy()
    far[weight == 0] = 1e9
    again = small().fit(far, sample_weight=weight)
    assert_allclose(again.transform(X), W, rtol=1e-3, atol=1e-3)
    copied = white.pretrained_copy().fit(X, sample_weight=weight)
    assert_allclose(copied.transform(X), W, rtol=1e-5, atol=1e-5)


def test_whitening_blows_no_noise_up():
    """Of wide embeddings only what varies, and of rows all the same nothing."""
    plain, white = (
        small(hidden_dims=(16, 6), whiten=w).fit(BLOBS) for w in (False, True)
    )
    before, after = (
        np.linalg.eigvalsh(np.cov(encoder.transform(BLOBS).T, ddof=0))
        for encoder in (plain, white)
    )
    assert before[0] < 0.1 * before[-1]
    expected = before / np.maximum(before, 0.1 * before[-1])
    assert_allclose(after, expected, rtol=1e-3, atol=1e-5)
    line = small(hidden_dims=(16, 1)).fit(BLOBS).transform(BLOBS)
    assert_allclose(line.var(), 1, rtol=1e-5)
    # more rows than are encoded at a time, which may round otherwise
    same = np.full((5000, 3), 0.1)
    plain, white = (small(whiten=w, epochs=1).fit(same) for w in (False, True))
    assert_array_equal(plain.transform(same), white.transform(same))


@pytest.mark.parametrize("whiten", [True, False])
def test_divergence_in_the_last_step(whiten):
    encoder = small(epochs=1, batch_size=150, learning_rate=1e38, whiten=whiten)
    with pytest.raises(FloatingPointError, match="diverged in epoch 1: decrease"):
        encoder.fit(BLOBS)


@pytest.mark.parametrize("has", [True, False])
def test_mixed_precision_warns_where_it_is_emulated(has, monkeypatch):
    monkeypatch.setattr(
        torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has, raising=False
    )
    encoder = small(epochs=1, precision="mixed")
    if has:
        encoder.fit(BLOBS)
        return
    with pytest.warns(UserWarning, match="no products in bfloat16"):
        encoder.fit(BLOBS)
    small(epochs=1).fit(BLOBS)


@pytest.mark.filterwarnings("ignore:precision='mixed' is several times slower")
def test_mixed_precision():
    single = small(epochs=50).fit(BLOBS)
    mixed = small(epochs=50, precision="mixed", reconstruction_weight=0.0).fit(BLOBS)
    assert mixed.transform(BLOBS).dtype == np.float64
    assert_allclose(mixed.loss_history_[-1], single.loss_history_[-1], rtol=0.2)
    Z = mixed.transform(BLOBS)
    mixed.step(BLOBS, np.ones_like)
    assert (mixed.transform(BLOBS) < Z).mean() > 0.9


def test_progress(capsys):
    small(verbose=1).fit(BLOBS)
    assert capsys.readouterr().out.count("[AutoencoderEncoder] epoch") == 5


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"hidden_dims": ()}, "hidden_dims must be a non-empty sequence of positive"),
        ({"hidden_dims": (3, 0)}, r"hidden_dims must be .* got \(3, 0\)"),
        ({"hidden_dims": (3, 2.5)}, "hidden_dims must be"),
        ({"device": "abacus"}, "device must name one .* got 'abacus'"),
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"optimizer": "newton"}, "'optimizer' parameter"),
        ({"learning_rate_schedule": "linear"}, "'learning_rate_schedule' parameter"),
        ({"modules": (torch.nn.Linear(6, 2),)}, "modules must be a pair"),
        ({"modules": ("f", "g")}, "modules must be a pair"),
        ({"modules": (SHARED, torch.nn.Sequential(SHARED))}, "not share parameters"),
        ({"modules": (torch.nn.Linear(6, 2), torch.nn.Linear(2, 1))}, "decode that as"),
        ({"modules": (torch.nn.Linear(5, 2), torch.nn.Linear(2, 5))}, "take rows of 6"),
        ({"activation": torch.nn.GLU}, "activation must take rows of 6 features"),
        (
            {"modules": (torch.nn.LSTM(6, 2), torch.nn.Linear(2, 6))},
            "modules must take rows of 6 .* LSTM must return a tensor; got tuple",
        ),
        (
            {"modules": (torch.nn.Bilinear(6, 6, 2), torch.nn.Linear(2, 6))},
            "modules must take rows of 6 features: .* missing 1 required",
        ),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        small(**parameters).fit(BLOBS)


def test_divergence_is_an_error():
    with pytest.raises(FloatingPointError, match="decrease learning_rate"):
        small(optimizer="sgd", learning_rate=1e30).fit(BLOBS)
    encoder = small(optimizer="sgd", learning_rate=1e-3, clustering_rate=1e30)
    for batch_size in (10, None):
        model = StudentTClustering(3, encoder=encoder, batch_size=batch_size)
        with pytest.raises(FloatingPointError, match="decrease the rates"):
            model.fit(BLOBS)


# ---------------------------------------------------------------------- an estimator
def test_persistence(tmp_path):
    model = StudentTClustering(3, encoder=small(), random_state=0, tol=0.1).fit(BLOBS)
    joblib.dump(model, tmp_path / "model")
    for other in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model")):
        assert_array_equal(other.predict_proba(BLOBS), model.predict_proba(BLOBS))
        assert_array_equal(other.encoding_, model.encoding_)
        other.encoder_.step(BLOBS, np.ones_like)
    assert_array_equal(model.encode(BLOBS), model.encoding_)


def test_loads_without_the_gpu_it_was_trained_on():
    encoder = small().fit(BLOBS)
    state = encoder._networks.__getstate__()
    assert {p.device.type for p in state["encoder"].parameters()} == {"cpu"}
    if not torch.cuda.is_available():
        # what a machine with a GPU would have written
        encoder._networks.__setstate__({**state, "device": "cuda:0"})
        assert encoder._networks.device.type == "cpu"
    assert encoder.transform(BLOBS).shape == (150, 2)


def test_a_fit_that_fails_is_no_fit():
    encoder = small(hidden_dims=(3, 0))
    with pytest.raises(ValueError, match="hidden_dims"):
        encoder.fit(BLOBS)
    with pytest.raises(NotFittedError):
        encoder.transform(BLOBS)
    encoder = small().fit(BLOBS)
    expected = encoder.transform(BLOBS)
    with pytest.raises(FloatingPointError, match="decrease learning_rate"):
        encoder.set_params(optimizer="sgd", learning_rate=1e30).fit(BLOBS[:, :3])
    assert_array_equal(encoder.transform(BLOBS), expected)


def test_rows_whose_differences_are_no_numbers_in_single_precision():
    X = np.zeros((3, 6), np.float32)
    X[:, 0] = -3e38, -3e38, 3.3e38
    small().fit(X)  # float32 would have 4.2e38 as infinite


@GPU
def test_on_a_gpu():
    cpu, gpu = small(device="cpu").fit(BLOBS), small(device="cuda").fit(BLOBS)
    assert next(gpu.encoder_.parameters()).device.type == "cuda"
    assert_allclose(gpu.loss_history_, cpu.loss_history_, rtol=0.1)
    gpu.step(BLOBS[:10], np.ones_like)
    copied = pickle.loads(pickle.dumps(gpu))
    assert_allclose(copied.transform(BLOBS), gpu.transform(BLOBS), rtol=1e-4, atol=1e-4)


def test_names_and_set_output():
    encoder = small().set_output(transform="pandas").fit(BLOBS)
    names = ["autoencoderencoder0", "autoencoderencoder1"]
    assert list(encoder.transform(BLOBS).columns) == names
    assert list(encoder.get_feature_names_out()) == names
    model = StudentTClustering(3, encoder=encoder, random_state=0, tol=0.1).fit(BLOBS)
    assert isinstance(model.encoding_, np.ndarray)


@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
def test_fits_frames(output):
    """Without a word of names that it took from them itself."""
    frame = pytest.importorskip("pandas").DataFrame(BLOBS, columns=list("abcdef"))
    if output == "polars":
        pytest.importorskip("polars")
    encoder = small().set_output(transform=output).fit(frame)
    assert_array_equal(encoder.feature_names_in_, list("abcdef"))
    Z = np.asarray(encoder.transform(frame))
    assert_allclose(Z, small().fit(BLOBS).transform(BLOBS))


def test_sparse_rows():
    X = np.where(BLOBS > 0, BLOBS, 0)
    dense, rows = small().fit(X), small().fit(sparse.csr_matrix(X))
    assert_allclose(rows.transform(sparse.csr_array(X)), dense.transform(X), atol=1e-4)


def test_parameters_in_a_grid():
    model = StudentTClustering(
        3, encoder=small(epochs=2), n_init=2, tol=0.1, random_state=0
    )
    grid = {"encoder__hidden_dims": [(8, 2), (8, 3)]}
    search = GridSearchCV(model, grid, cv=2, n_jobs=2).fit(BLOBS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    width = search.best_params_["encoder__hidden_dims"][-1]
    assert search.best_estimator_.encoding_.shape == (150, width)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    # whitened, rounding in single precision exceeds the 1e-7 of a check
    [AutoencoderEncoder(hidden_dims=(8, 2), epochs=2, whiten=False)],
    expected_failed_checks=lambda _: dict.fromkeys(
        (
            "check_sample_weight_equivalence_on_dense_data",
            "check_sample_weight_equivalence_on_sparse_data",
        ),
        "dropout and batches are drawn by row, repeated or not",
    ),
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# ------------------------------------------------------------------------- clustering
@pytest.mark.parametrize("gamma, gain", [(0.0, 0.02), (10.0, 0.005)])
def test_learning_beats_the_start_on_digits(gamma, gain, device):
    X, y = load_digits(return_X_y=True)
    encoder = AutoencoderEncoder(
        (200, 10),
        epochs=30,
        reconstruction_weight=gamma,
        device=device,
        random_state=0,
    ).fit(X)
    Z = encoder.transform(X)
    start = StudentTClustering(10, random_state=0).fit(Z)
    model = StudentTClustering(
        10,
        encoder=encoder.pretrained_copy(),
        random_state=0,
        max_iter=30,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    assert_array_equal(model.encoder_.loss_history_, [])
    assert accuracy(model.labels_, y) > accuracy(start.labels_, y) + gain
