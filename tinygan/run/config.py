"""The options of a run, and what they make: the data, the two networks, the game."""

from dataclasses import dataclass, fields

from .. import data, losses, models, optim
from ..errors import ConfigError
from ..gan import GAN


@dataclass
class Config:
    """The options of a run. None: the model's own default (see `models`)."""
    model: str = None
    width: float = None
    data: str = "mnist5k"
    image_size: int = 28       # of pictures from a folder
    colour: bool = False       # likewise
    loss: str = "non_saturating"
    smoothing: float = 0.0
    latent: str = "normal"
    latent_dim: int = None
    steps: int = None
    epochs: float = None
    batch: int = None
    g_lr: float = None
    d_lr: float = None
    beta1: float = None
    beta2: float = 0.999
    schedule: str = "constant"
    weight_decay: float = 0.0
    k: int = 1
    m: int = 1
    seed: int = 0
    backend: str = "numpy"
    capture: bool = False      # the step as a CUDA graph
    tf32: bool = False         # products of a GPU in TF32
    penalty: str = None
    gamma: object = None       # a number, or "start:end" over the run
    g_penalty: float = 0.0
    average: float = 0.0
    noise_std: object = None   # likewise
    clip: float = None
    augment: str = None
    pack: int = 1
    spectral: bool = False
    minibatch_std: bool = False
    dropout: float = None      # of D's convolutional layers
    conditional: bool = False  # on the labels of the data
    classes: int = None        # how many labels there are; found from the data

    def __post_init__(self):
        kinds = {int: (int, "an integer"), float: ((int, float), "a number"), bool: (bool, "true or false"),
                 str: (str, "text"), object: ((int, float, str), "a number, or start:end")}
        for field in fields(self):
            value, (kind, word) = getattr(self, field.name), kinds[field.type]
            if value == "":
                raise ConfigError(f"expected {field.name} to be {word}, got nothing; leave it out")
            if value is not None and not (isinstance(value, kind) and isinstance(value, bool) <= (field.type is bool)):
                raise ConfigError(f"expected {field.name} to be {word}, got {value!r}")
        for name in ("steps", "batch", "k", "m", "latent_dim", "seed", "pack", "image_size"):
            value, least = getattr(self, name), int(name != "seed")
            if value is not None and value < least:
                raise ConfigError(f"expected {name} to be an integer ≥ {least}, got {value!r}")
            if value is not None and value >= 2**31 and name != "seed":
                raise ConfigError(f"expected {name} to be an integer below 2³¹, got {value!r}")
        if self.gamma is not None and not self.penalty:
            raise ConfigError(f"expected a penalty for gamma {self.gamma!r} to weigh, got none; add --penalty r1, say, "
                              f"or leave gamma out (--gamma none, if it is --config's)")
        for name, end in (("width", 1e4), ("epochs", 1e9), ("g_lr", float("inf")), ("d_lr", float("inf"))):
            value = getattr(self, name)
            if value is not None and not 0 < value < end:
                raise ConfigError(f"expected {name} to be a number above 0 and below {end:g}, got {value!r}")

    def resolve(self, samples):
        """Fill in what depends on the model and the data; samples: the shape of one sample."""
        if self.model is None:
            self.model = "points" if len(samples) == 1 else "dcgan_small"
        recipe = models.get(self.model)
        flat = ("points", "mixture")
        if len(samples) == 1 and self.model not in flat:
            raise ConfigError(f"model {self.model!r} expected images, got data {self.data!r} of shape {samples} a "
                              f"sample; use model 'points' or 'mixture'")
        if len(samples) == 3 and self.model in flat:
            raise ConfigError(f"model {self.model!r} expected data of 2-D points (ring, grid), got {self.data!r}; use "
                              f"another model: {', '.join(n for n in models.names if n not in flat)}")
        if len(samples) == 1 and self.augment:
            raise ConfigError(f"expected images to augment, got points, {self.data!r}; leave out augment")
        self.batch = self.batch or recipe.batch
        if self.batch % self.pack:
            raise ConfigError(f"expected a batch that is a multiple of the pack of {self.pack}, got {self.batch}; "
                              f"choose another batch or pack")
        self.g_lr, self.d_lr = self.g_lr or recipe.lr, self.d_lr or recipe.lr
        self.beta1 = recipe.beta1 if self.beta1 is None else self.beta1
        return recipe


def from_options(options):
    """A Config of these options (mapping name -> value); ConfigError for a name that there is not."""
    known = {field.name for field in fields(Config)}
    for name in options:
        if name not in known:
            raise ConfigError(f"unknown option {name!r}; choose among: {', '.join(sorted(known))}")
    return Config(**options)


def check_effect(config):
    """Raise ConfigError for options of a new run that would do nothing."""
    if (config.image_size, config.colour) != (28, False) and not str(config.data).startswith("images:"):
        raise ConfigError(f"expected a folder of pictures (images:FOLDER) to be resized or to keep its colour, got "
                          f"{config.data!r}, which is taken as it is; leave out image_size and colour")
    if config.tf32 and config.backend == "numpy":
        raise ConfigError("expected backend cupy to round products to TF32, got numpy; leave tf32 out")


def source(config):
    """The data of a Config: images (N, H, W, C) or a Mixture, the shape of a sample, and labels (N,) or None.

    A conditional Config learns from them how many classes there are. Raises ConfigError when it has no labels.
    """
    if config.data in data.streams:
        images, shape, labels = data.stream(config.data), (2,), None
    else:
        images, labels = data.load(config.data, config.image_size, config.colour)
        shape = images.shape[1:]
    if not config.conditional:
        config.classes = None
        return images, shape, None
    if labels is None:
        raise ConfigError(f"expected data with labels for a conditional game, got {config.data!r}, which has none; "
                          f"leave out --conditional")
    if labels.min() < 0:
        raise ConfigError(f"expected labels from 0 on in {config.data!r}, got {labels.min()}; number classes 0, 1, …")
    config.classes = int(labels.max()) + 1
    if config.classes > len(labels):
        raise ConfigError(f"expected labels 0, 1, … of no more classes than the {len(labels)} samples in "
                          f"{config.data!r}, got one of {config.classes - 1}; number the classes from 0 on")
    return images, shape, labels


def build(config, recipe, shape, weights, training, steps, processes=None):
    """The GAN of a resolved Config.  shape: of a sample; weights, training: seeds or generators; steps: of the run."""
    c = config
    options = {"width": c.width, "latent": c.latent_dim, "image": tuple(shape), "augment": c.augment, "pack": c.pack,
               "spectral": c.spectral, "minibatch_std": c.minibatch_std, "dropout": c.dropout, "classes": c.classes}
    G, D = recipe.build(rng=weights, backend=c.backend, **{k: v for k, v in options.items() if v is not None})
    g_opt, d_opt = (optim.Adam(optim.schedule(c.schedule, lr, n), c.beta1, c.beta2, weight_decay=c.weight_decay)
                    for lr, n in [(c.g_lr, steps * c.m), (c.d_lr, steps * c.k)])
    return GAN(G, D, losses.get(c.loss, c.smoothing), g_opt, d_opt, c.latent, k=c.k, m=c.m, rng=training,
               penalty=c.penalty, gamma=_annealed("gamma", c.gamma, steps), g_penalty=c.g_penalty, average=c.average,
               noise_std=_annealed("noise_std", c.noise_std, steps) or 0.0, clip=c.clip, processes=processes,
               capture=c.capture)


def _annealed(name, value, steps):
    """A number, or "start:end" as a schedule over the run."""
    if value is None:
        return None
    try:
        numbers = [float(part) for part in str(value).split(":")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 2 or not all(0 <= n < float("inf") for n in numbers):
        raise ConfigError(f"expected {name} as a number ≥ 0, or start:end of them, got {value!r}")
    return numbers[0] if len(numbers) == 1 else optim.anneal(*numbers, steps)
