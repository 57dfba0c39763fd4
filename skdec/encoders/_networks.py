"""The PyTorch side of AutoencoderEncoder: networks, and the steps they take."""

import copy
from functools import wraps
from itertools import pairwise

import numpy as np
import torch
from torch import nn

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}

SGD_MOMENTUM = 0.9


def learning(function):
    """Let networks learn, whether or not the caller has switched gradients off."""

    @wraps(function)
    def call(*args, **kwargs):
        with torch.inference_mode(False), torch.enable_grad():
            return function(*args, **kwargs)

    return call


@learning
def mirrored(widths, activation, seed):
    """Encoder of linear layers of these widths, and the decoder that goes back."""
    activation = ACTIVATIONS.get(activation, activation)
    # a generator of its own leaves the user's random numbers alone
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        _layers(order, activation, generator) for order in (widths, widths[::-1])
    )


def _layers(widths, activation, generator):
    layers = []
    for fan_in, fan_out in pairwise(widths):
        layer = nn.utils.skip_init(nn.Linear, fan_in, fan_out, dtype=torch.float32)
        bound = fan_in**-0.5
        with torch.no_grad():
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.uniform_(-bound, bound, generator=generator)
        layers += [layer, activation()]
    return nn.Sequential(*layers[:-1])


def check_pair(modules):
    """The pair of networks given by a user, or an error."""
    pair = tuple(modules)
    if len(pair) != 2 or not all(isinstance(module, nn.Module) for module in pair):
        raise ValueError(
            "modules must be a pair of torch.nn.Module, encoder and decoder; got "
            f"{modules!r}"
        )
    own = [{id(weight) for weight in module.parameters()} for module in pair]
    if own[0] & own[1]:
        raise ValueError(
            "modules must not share parameters: encoder and decoder are copied, each "
            "with weights of its own"
        )
    return pair


class Affine(nn.Module):
    """z @ matrix + bias, in single precision also where other layers are mixed."""

    def __init__(self, matrix, bias):
        super().__init__()
        self.matrix, self.bias = (
            nn.Parameter(torch.tensor(array, dtype=torch.float32))
            for array in (matrix, bias)
        )

    def forward(self, z):
        """The rows moved."""
        with torch.autocast(z.device.type, enabled=False):
            return z.float() @ self.matrix + self.bias


class Augmentation:
    """A user's augmentation as a function of scaled rows, which are centred.

    It is given rows in units of the scale but not centred, in which 0 is 0.
    """

    def __init__(self, augment, center):
        self.augment, self.center = augment, np.asarray(center, dtype=np.float32)

    def __call__(self, x, generator):
        """The rows augmented, and scaled as x is."""
        center = torch.from_numpy(self.center).to(x.device)
        made = self.augment(x + center, generator)
        if not isinstance(made, torch.Tensor) or made.shape != x.shape:
            got = f"shape {tuple(made.shape)}" if hasattr(made, "shape") else repr(made)
            raise ValueError(
                f"augment must return a tensor of shape {tuple(x.shape)}, as it is "
                f"given; got {type(made).__name__} of {got}"
            )
        if not made.isfinite().all():
            raise ValueError("augment must return finite rows; got NaN or infinity")
        return made.to(x) - center


class Networks:
    """Encoder f and decoder g on their device, and the optimiser that moves them.

    Parameters
    ----------
    encoder, decoder : torch.nn.Module
        The networks; they are copied.
    device : str
        Where they compute: "auto", or a name of PyTorch's.
    mixed : bool
        Whether to train with matrix products in bfloat16.
    """

    @learning
    def __init__(self, encoder, decoder, device, mixed):
        self.mixed = mixed
        self.device = _device(device)
        self.encoder = copy.deepcopy(encoder).to(self.device)
        self.decoder = copy.deepcopy(decoder).to(self.device)
        self._optimizer = self._schedule = self._generator = None

    def has_bfloat16(self):
        """Whether the device multiplies in bfloat16, as far as PyTorch tells."""
        if self.device.type != "cpu":
            return True
        told = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
        return bool(told())

    def set_optimizer(self, optimizer, rate, seed=0, n_steps=None):
        """Take an optimiser for the next steps, and a seed of what is random.

        Over ``n_steps`` the rate falls to 0; without, it stays.
        """
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        if optimizer == "adam":
            # unfused, it steps one tensor at a time and is several times as slow
            self._optimizer = torch.optim.Adam(parameters, lr=rate, fused=True)
        elif optimizer == "sgd":
            self._optimizer = torch.optim.SGD(
                parameters, lr=rate, momentum=SGD_MOMENTUM
            )
        else:
            self._optimizer = optimizer(parameters, lr=rate)
        self._schedule = self._falling(n_steps) if n_steps else None
        self._generator = torch.Generator(self.device).manual_seed(seed)

    def _falling(self, n_steps):
        """The rate η (1 + cos(π t/T))/2 in step t of T."""
        if not isinstance(self._optimizer, torch.optim.Optimizer):
            raise ValueError(
                "optimizer must return a torch.optim.Optimizer, whose rate can follow "
                "learning_rate_schedule='cosine'; got "
                f"{type(self._optimizer).__name__}"
            )
        return torch.optim.lr_scheduler.CosineAnnealingLR(self._optimizer, n_steps)

    def train(self, on):
        """Training or evaluation mode, which dropout within given modules heeds."""
        self.encoder.train(on)
        self.decoder.train(on)

    @learning
    def append(self, mean, forward, back):
        """Let z be (z − mean) @ forward, and what is decoded z @ back + mean."""
        onward, undone = Affine(forward, -mean @ forward), Affine(back, mean)
        self.encoder = nn.Sequential(self.encoder, onward.to(self.device))
        self.decoder = nn.Sequential(undone.to(self.device), self.decoder)
        self.train(False)

    @learning
    def restore(self, x, weight, dropout, augment):
        """One step of pre-training; returns the mean of ‖x − restored‖²/d.

        With ``augment`` x are the augmented rows; dropout is what is undone.
        """
        x = self._augmented(x, augment)
        # copied for layers that work in place, as below: x is what is to be restored
        given = x.clone()
        if dropout:
            draws = torch.rand(
                x.shape,
                generator=self._generator,
                device=self.device,
                dtype=x.dtype,
            )
            given = x * (draws >= dropout) / (1 - dropout)
        with self._autocast():
            restored = self.decoder(self.encoder(given))
        error = self._error(restored, x, weight)
        self._optimizer.zero_grad()
        error.backward()
        self._optimizer.step()
        if self._schedule is not None:
            self._schedule.step()
        return float(error.detach())

    @learning
    def follow(self, x, gradient, weight, reconstruction_weight, augment):
        """One step along ∂KL/∂Z, and γ times the error of reconstruction.

        With ``augment`` both are of augmented rows, and the target of the KL is that of
        the rows as they are, made of their z.
        """
        # as they are public, anybody may have changed that
        self.train(False)
        given = self._augmented(x, augment)
        with self._autocast():
            z = self.encoder(given.clone())
            places = [z.detach()]
            if augment is not None:
                with torch.no_grad():
                    places.insert(0, self.encoder(self._tensor(x)))
        toward = gradient(*(place.float().cpu().numpy() for place in places))
        toward = self._tensor(toward)
        outputs, slopes = [z], [toward.to(z.dtype)]
        if reconstruction_weight:
            with self._autocast():
                restored = self.decoder(z.clone())
            error = self._error(restored, given, weight)
            outputs.append(reconstruction_weight * error)
            slopes.append(None)
        self._optimizer.zero_grad()
        torch.autograd.backward(outputs, slopes)
        self._optimizer.step()

    def _augmented(self, x, augment):
        """Rows on the device, augmented if they are to be."""
        x = self._tensor(x)
        return x if augment is None else augment(x, self._generator)

    def encode(self, x):
        """f(x), single precision."""
        return self._apply(self.encoder, x)

    def decode(self, z):
        """g(z), single precision."""
        return self._apply(self.decoder, z)

    def _apply(self, module, rows):
        module.train(False)
        # not in inference mode: lazy layers make their parameters here, and learn later
        with torch.inference_mode(False), torch.no_grad():
            made = module(self._tensor(rows))
        if not isinstance(made, torch.Tensor):
            raise TypeError(
                f"{type(module).__name__} must return a tensor; got "
                f"{type(made).__name__}"
            )
        return made.float().cpu().numpy()

    def _error(self, restored, x, weight):
        """Weighted mean over the rows of ‖x − restored‖²/d."""
        errors = (restored.float() - x).square().mean(dim=1)
        return (errors * self._tensor(weight)).mean()

    def _tensor(self, array):
        # copied, because PyTorch warns of arrays that cannot be written to
        copied = np.array(array, dtype=np.float32)
        return torch.from_numpy(copied).to(self.device)

    def _autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed)

    def __getstate__(self):
        """The networks on the CPU, without their optimiser."""
        return {
            "mixed": self.mixed,
            "device": str(self.device),
            "encoder": copy.deepcopy(self.encoder).cpu(),
            "decoder": copy.deepcopy(self.decoder).cpu(),
        }

    def __setstate__(self, state):
        try:
            device = str(_device(state["device"]))
        except ValueError:
            # it was trained on a machine that had another device
            device = "auto"
        self.__init__(state["encoder"], state["decoder"], device, state["mixed"])


def _device(name):
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device must name one that PyTorch can use here, or be 'auto'; got "
            f"{name!r}: {error}"
        ) from error
    return device
