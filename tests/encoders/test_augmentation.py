"""Augmentation: the images and counts against SciPy, and steps against autograd."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.ndimage import map_coordinates
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from skdec import StudentTClustering, clustering_loss, target_distribution
from skdec.encoders import AutoencoderEncoder, RandomAffine, RandomDropout

torch = pytest.importorskip("torch", reason="needs the extra 'deep'")

BLOBS, _ = make_blobs(150, n_features=6, centers=3, random_state=1)
SMALL = {"hidden_dims": (16, 2), "epochs": 3, "dropout": 0.0, "random_state": 0}

DEVICES = ["cpu", *["cuda"] * torch.cuda.is_available()]

pytestmark = pytest.mark.usefixtures("one_torch_thread", "device")


@pytest.fixture(params=DEVICES)
def device(request, monkeypatch):
    """Where the networks of ``small`` are: every test runs on each device there is."""
    monkeypatch.setitem(SMALL, "device", request.param)
    return request.param


def small(**parameters):
    return AutoencoderEncoder(**{**SMALL, **parameters})


def seeded(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


# ---------------------------------------------------------------------------- images
def cubic(image, places, mode):
    """Σ w(r − i) w(c − j) x_ij by Keys' kernel w, of the 16 pixels next to (r, c)."""

    def kernel(t, a=-0.75):
        t = abs(t)
        if t <= 1:
            return (a + 2) * t**3 - (a + 3) * t**2 + 1
        return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0

    # wide enough for places beyond the edge
    width = 10
    padded, found = np.pad(image, width, mode), np.zeros(places.shape[1:])
    for i, j in np.ndindex(found.shape):
        row, column = places[:, i, j] + width
        for r in range(int(row) - 1, int(row) + 3):
            for c in range(int(column) - 1, int(column) + 3):
                found[i, j] += kernel(row - r) * kernel(column - c) * padded[r, c]
    return found


def warped(image, draws, augmentation, modes):
    """The formula of the docstring, pixel by pixel, of an image (height, width)."""
    phi, size = draws[0] * np.deg2rad(augmentation.rotation), draws[1]
    shape = np.array(image.shape)
    move = augmentation.shift * np.array([draws[3], draws[2]]) * shape
    middle = (shape - 1) / 2
    places = np.empty((2, *image.shape))
    for i, j in np.ndindex(image.shape):
        down, right = (i, j) - middle
        turned = (
            np.sin(phi) * right + np.cos(phi) * down,
            np.cos(phi) * right - np.sin(phi) * down,
        )
        places[:, i, j] = turned / (1 + augmentation.scaling * size) - move + middle
    if augmentation.interpolation == "bicubic":
        return cubic(image, places, modes[1])
    return map_coordinates(image, places, order=1, mode=modes[0])


# what SciPy and NumPy call them
@pytest.mark.parametrize("channels", ["first", "last"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    "padding, modes",
    [
        ("zeros", ("grid-constant", "constant")),
        ("border", ("nearest", "edge")),
        ("reflection", ("reflect", "symmetric")),
    ],
)
def test_images_are_warped(channels, interpolation, padding, modes, rng):
    images = rng.uniform(size=(4, 3, 5, 8))
    augment = RandomAffine(
        (3, 5, 8),
        rotation=40,
        shift=0.2,
        scaling=0.5,
        channels=channels,
        padding=padding,
        interpolation=interpolation,
    )
    order = (0, 1, 2, 3) if channels == "first" else (0, 2, 3, 1)
    rows = images.transpose(order).reshape(4, -1)
    x = torch.tensor(rows, dtype=torch.float32)
    made = augment(x, seeded()).numpy()
    assert_allclose(x.numpy(), rows, rtol=1e-6)
    draws = 2 * torch.rand((4, 4), generator=seeded()).numpy().T - 1
    expected = [
        [warped(channel, draw, augment, modes) for channel in image]
        for image, draw in zip(images, draws, strict=True)
    ]
    expected = np.array(expected).transpose(order).reshape(4, -1)
    assert_allclose(made, expected, atol=1e-5)
    still = RandomAffine((15, 8), rotation=0, shift=0, scaling=0)
    assert_allclose(still(x, seeded()), x, atol=1e-5)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"shape": (2, 4)}, r"as many pixels as rows have features, 6; got \(2, 4\)"),
        ({"shape": 6}, "shape must be .* got 6"),
        ({"shape": (1, 2, 3, 1)}, "shape must be"),
        ({"shape": (2.0, 3)}, "shape must be"),
        ({"rotation": -1}, "rotation must be a float in the range .* got -1"),
        ({"shift": None}, "shift must be"),
        ({"scaling": 1.0}, "scaling must be"),
        ({"channels": "middle"}, "channels must be a str among .* got 'middle'"),
        ({"padding": 0}, "padding must be"),
        ({"interpolation": "nearest"}, "interpolation must be a str among"),
    ],
)
def test_bad_images(parameters, message):
    augment = RandomAffine(**{"shape": (2, 3), **parameters})
    with pytest.raises(ValueError, match=message):
        small(augment=augment).fit(BLOBS)


# ---------------------------------------------------------------------------- counts
def test_entries_are_dropped():
    x = torch.arange(20_000, dtype=torch.float32).reshape(100, 200)
    made = RandomDropout(0.3)(x, seeded())
    kept = made != 0
    assert_allclose(kept.float().mean(), 0.7, atol=0.01)
    assert_allclose(made[kept], x[kept] / 0.7)
    with pytest.raises(ValueError, match=r"share must be .* got 1"):
        RandomDropout(1)(x, seeded())


# ------------------------------------------------------------------------- the encoder
def bent(x, generator):
    """What autograd can follow too; like any augmentation it may change its input."""
    return x.mul_(1.2).roll(1, dims=1)


def augmented(encoder, x):
    """``bent`` of scaled rows, in which 0 is not 0."""
    center = torch.as_tensor(encoder.mean_ / encoder.scale_, dtype=torch.float32)
    return bent(x + center, None) - center


def scaled(encoder):
    return torch.as_tensor((BLOBS - encoder.mean_) / encoder.scale_).float()


def restoring(pair, encoder, x, weight):
    made = augmented(encoder, x)
    errors = (pair[1](pair[0](made)) - made).square().mean(dim=1)
    return (weight * errors).mean()


def assert_one_step(before, after, loss, rate):
    """SGD went from some weights to others along the gradient of a loss."""
    slopes = torch.autograd.grad(loss, before)
    for old, new, slope in zip(before, after, slopes, strict=True):
        assert_allclose((old - new).detach() / rate, slope, rtol=1e-4, atol=1e-5)


def weights_of(pair):
    return [p for module in pair for p in module.parameters()]


def on_cpu(encoder):
    """Copies of the networks, on the CPU."""
    return [copy.deepcopy(m).cpu() for m in (encoder.encoder_, encoder.decoder_)]


@pytest.mark.parametrize("gamma", [0.5, 3.0])
def test_augmented_steps_are_those_of_autograd(gamma, rng):
    pair = torch.nn.Linear(6, 2), torch.nn.Linear(2, 6)
    rate = 0.01
    encoder = small(
        modules=pair,
        epochs=1,
        augment=bent,
        batch_size=len(BLOBS),
        optimizer=lambda parameters, lr: torch.optim.SGD(parameters, lr=lr),
        learning_rate=rate,
        clustering_rate=rate,
        reconstruction_weight=gamma,
        whiten=False,
    ).fit(BLOBS)
    x, ones = scaled(encoder), torch.ones(len(BLOBS))
    after = weights_of(on_cpu(encoder))
    assert_one_step(weights_of(pair), after, restoring(pair, encoder, x, ones), rate)

    before = on_cpu(encoder)
    weight, Z = rng.uniform(0.5, 2, len(BLOBS)), encoder.transform(BLOBS)
    centers = Z[[0, 50, 100]]
    P = target_distribution(rng.dirichlet(np.ones(3), len(BLOBS)))

    def gradient(given, at):
        assert_allclose(given, Z, rtol=1e-5, atol=1e-5)
        z = before[0](augmented(encoder, x))
        assert_allclose(at, z.detach(), rtol=1e-5, atol=1e-5)
        return clustering_loss(at, centers, P=P, sample_weight=weight)[1]

    encoder.step(BLOBS, gradient, sample_weight=weight)
    after = weights_of(on_cpu(encoder))
    z, w, P = before[0](augmented(encoder, x)), torch.tensor(weight), torch.tensor(P)
    s = 1 / (1 + (z[:, None] - torch.tensor(centers)).square().sum(dim=2))
    kl = (P * (P / (s / s.sum(dim=1, keepdim=True))).log()).sum(dim=1)
    loss = (w * kl).mean() + gamma * restoring(before, encoder, x, w)
    assert_one_step(weights_of(before), after, loss, rate)


def test_rows_are_given_with_their_zeros():
    seen = []
    X = np.where(BLOBS > 0, BLOBS, 0) * 1e-30
    X.flags.writeable = False
    for rows in (X, sparse.csr_array(X)):
        encoder = small(
            augment=lambda x, g: seen.append(x.cpu().clone()) or x, epochs=1
        )
        encoder.set_params(batch_size=len(X)).fit(rows)
        assert_allclose(
            np.sort(seen[-1].numpy() * encoder.scale_, axis=0),
            np.sort(X, axis=0),
            atol=1e-36,
        )


def test_the_same_seed_gives_the_same_augmentation():
    before = torch.get_rng_state()
    made = []
    for seed in (0, 0, 1):
        encoder = small(augment=RandomAffine((2, 3)), random_state=seed)
        model = StudentTClustering(
            3,
            encoder=encoder,
            random_state=0,
            batch_size=20,
            max_iter=20,
            tol=1.0,
            n_init=2,
        )
        made.append(model.fit(BLOBS).encoding_)
    assert torch.equal(torch.get_rng_state(), before)
    assert_array_equal(made[0], made[1])
    assert np.abs(made[0] - made[2]).max() > 1e-3


def test_augmentations_are_parameters():
    encoder = small(augment=RandomAffine((2, 3)))
    encoder.set_params(augment__rotation=5.0)
    assert clone(encoder).augment.rotation == 5
    assert clone(encoder).augment is not encoder.augment
    assert repr(encoder.augment) == "RandomAffine(rotation=5.0, shape=(2, 3))"
    encoder.fit(BLOBS)
    copied = pickle.loads(pickle.dumps(encoder))
    for fitted in (encoder, copied):
        fitted.step(BLOBS, lambda Z, at: at - Z)
    assert_array_equal(copied.transform(BLOBS), encoder.transform(BLOBS))
    other = encoder.pretrained_copy(augment=None).fit(BLOBS)
    other.step(BLOBS, lambda Z: np.zeros_like(Z))


@pytest.mark.parametrize(
    "augment, message",
    [
        (lambda x, generator: x[:, 1:], r"must return a tensor of shape \(150, 6\)"),
        (lambda x, generator: x.cpu().numpy(), r"got ndarray of shape \(150, 6\)"),
        (lambda x, generator: None, "got NoneType"),
        (lambda x, generator: x * float("nan"), "must return finite rows; got NaN"),
    ],
)
def test_augmentations_that_return_something_else(augment, message):
    with pytest.raises(ValueError, match=f"augment .*{message}"):
        small(augment=augment, batch_size=150).fit(BLOBS)


@pytest.mark.parametrize("gamma", [0.0, 10.0])
def test_dropped_entries_while_clusters_form(gamma, rng):
    """Counts of three kinds of cells, by whichever genes are left of each row."""
    kinds = rng.gamma(1.0, 3.0, size=(3, 20))
    y = rng.integers(0, 3, 240)
    X = rng.poisson(kinds[y]).astype(np.float32)
    encoder = small(
        augment=RandomDropout(), epochs=30, hidden_dims=(32, 3),
        reconstruction_weight=gamma,
    )  # fmt: skip
    model = StudentTClustering(3, encoder=encoder, random_state=0, max_iter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(sparse.csr_matrix(X))
    assert not model.start_kept_
    assert adjusted_rand_score(y, model.labels_) > 0.9
    assert_array_equal(model.predict(X), model.labels_)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("augment", [RandomAffine((2, 3)), RandomDropout()])
def test_augmentation_on_a_gpu(augment):
    encoder = small(augment=augment, device="cuda").fit(BLOBS)
    assert encoder.loss_history_[-1] < encoder.loss_history_[0]
    encoder.step(BLOBS, lambda Z, at: at - Z)
    x = torch.ones((5, 6), device="cuda")
    made = [augment(x, seeded(3, "cuda")) for _ in range(2)]
    assert made[0].device.type == "cuda"
    assert torch.equal(*made)


def test_rows_that_lose_their_differences_when_they_are_augmented():
    far = BLOBS.copy()
    far[:, 2] += 1e7
    encoder = small(augment=RandomDropout(0.1))
    with pytest.warns(UserWarning, match="1 features, the first of them number 2"):
        encoder.fit(far)
    far[:, 2] = 1e7  # nothing to lose
    encoder.fit(far)
