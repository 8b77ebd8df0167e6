"""The options of a run, and what is built from them: the data, the two networks, the GAN.

Each option is written once, as a field of `Config`: its type, default, bounds and help text. The checks below and the
options of `tinygan train` are derived from these fields.
"""

from dataclasses import dataclass, field, fields
from math import inf

from .. import data, losses, models, optim, penalties
from ..errors import ConfigError, choose
from ..gan import GAN
from ..ops.random import latents

Weight = float | str        # a number ≥ 0, or "start:end": annealed over the run
_TYPES = {int: (int, "an integer"), float: ((int, float), "a number"), bool: (bool, "true or false"),
          str: (str, "text"), Weight: ((int, float, str), "a number, or start:end")}
_NUMBERS = {2**31: "2³¹", inf: "infinity"}     # in words


def option(default, help, choices=None, least=-inf, above=-inf, below=inf, metavar=None, unset=None):
    """A field of Config.

    choices: the names that there are; least, above, below: bounds of a number, ≥ least, > above and < below; metavar:
    stands for the value in the help; unset: what None means, for the help.
    """
    return field(default=default, metadata={"help": help, "choices": choices, "least": least, "above": above,
                                            "below": below, "metavar": metavar, "unset": unset})


def count(default, help, least=1, unset=None):
    """A field that counts something."""
    return option(default, help, least=least, below=2**31, unset=unset)


PLAIN = {"loss": "non_saturating", "beta2": 0.999, "schedule": "constant", "m": 1, "average": 0.0}
# For dcgan_small, found by evaluation on held-out digits: relativistic pairs with R1 + R2 (Huang et al. 2024), two
# steps of G for one of D, averaged weights, a small z, no dropout.
STABLE = dict(loss="relativistic", penalty="r1+r2", gamma="1:0.1", batch=16, epochs=22, m=2, latent_dim=20, g_lr=2e-3,
              d_lr=2e-3, beta1=0.0, beta2=0.99, schedule="cosine", average=0.997, dropout=0.0)


def _unset(plain, name):
    """What it means for an option not to be given, in words."""
    return f"{plain}; dcgan_small {STABLE[name]}"


@dataclass
class Config:
    """The options of a run. None is the default: of the field, or, where that is None, of the model (see `models`)."""
    model: str = option(None, "architecture:", choices=models.names,
                        unset="dcgan_small; images from 48 × 48 dcgan64, from 96 × 96 dcgan128; points for 2-D data")
    width: float = option(None, "factor on channels and hidden units", above=0, below=1e4,
                          unset="1; dcgan_small 0.25")
    data: str = option("mnist5k", f"{data.HELP};\nsets by name are searched for in the folder $TINYGAN_DATA first",
                       metavar="NAME")
    image_size: int = count(28, "images of a folder are resized to N × N")
    colour: bool = option(False, "keep the colour of images of a folder")
    plain: bool = option(False, "dcgan_small with the settings of Radford et al. 2016 for options that are not given")
    loss: str = option(None, "objective:", choices=losses.names, unset=_unset("non_saturating", "loss"))
    smoothing: float = option(0.0, "one-sided label smoothing: the real target is 1 − X", least=0, below=1)
    latent: str = option("normal", "distribution of the latent vectors:", choices=latents)
    latent_dim: int = count(None, "dimension of the latent vectors", unset=_unset("the model's, 100", "latent_dim"))
    epochs: float = option(None, "passes over the data", above=0, below=1e9, unset="the model's")
    steps: int = count(None, "stop after N steps, if that comes first")
    batch: int = count(None, "samples in a minibatch", unset="the model's")
    g_lr: float = option(None, "learning rate of G", above=0, unset="the model's")
    d_lr: float = option(None, "learning rate of D", above=0, unset="the model's")
    beta1: float = option(None, "Adam's β₁", least=0, below=1, unset="the model's, 0.5")
    beta2: float = option(None, "Adam's β₂", least=0, below=1, unset=_unset(0.999, "beta2"))
    schedule: str = option(None, "learning-rate schedule:", choices=optim.schedules,
                           unset=_unset("constant", "schedule"))
    weight_decay: float = option(0.0, "factor X of the L2 penalty ½·X·‖θ‖²", least=0)
    k: int = count(1, "discriminator updates in each step")
    m: int = count(None, "generator updates in each step", unset=_unset(1, "m"))
    seed: int = option(0, "of all random numbers; the same seed gives the same run", least=0)
    penalty: str = option(None, "gradient penalties on D, joined by +: " + ", ".join(penalties.names), metavar="NAMES",
                          unset=_unset("no penalty", "penalty"))
    gamma: Weight = option(None, "weight of the penalties: a number, or start:end over the run", metavar="γ",
                           unset="1 for r1, r2; 10 for the others; dcgan_small without --penalty 1:0.1")
    g_penalty: float = option(0.0, "weight λ of G's penalty λ·E‖∇ log D(x)‖² at x = G(z)", least=0, metavar="λ")
    average: float = option(None, "decay of an exponential moving average (EMA) of G's weights, used for samples",
                            least=0, below=1, metavar="DECAY", unset=_unset("no average", "average"))
    noise_std: Weight = option(None, "instance noise: standard deviation of noise on D's input, or start:end",
                               metavar="σ", unset="no noise")
    clip: float = option(None, "clip D's weights to [−C, C]", above=0, metavar="C")
    augment: str = option(None, "differentiable augmentation of D's input: some of translation,cutout,brightness",
                          metavar="KINDS")
    pack: int = count(1, "samples that D judges together (PacGAN)")
    spectral: bool = option(False, "spectral normalisation in D")
    minibatch_std: bool = option(False, "minibatch standard deviation as a feature of D")
    dropout: float = option(None, "dropout rate after D's convolutions", least=0, below=1,
                            unset="0.3; none in dcgan64, dcgan128 and, unless --plain, dcgan_small")
    conditional: bool = option(False, "conditional GAN, on the labels of the data")
    backend: str = option("numpy", "numpy or cupy", metavar="NAME")
    capture: bool = option(False, "replay the training step as a CUDA graph (cupy)")
    tf32: bool = option(False, "round the factors of products on the GPU to TF32: faster, 3 digits")
    classes: int = None        # how many labels there are: found from the data, not an option

    def __post_init__(self):
        for f in fields(self):
            setattr(self, f.name, _checked(f, getattr(self, f.name)))

    def resolve(self, samples):
        """Fill in what depends on the model and on samples, the shape of one; returns the model's Recipe."""
        if self.model is None:
            self.model = models.for_samples(samples)
        recipe, given = models.get(self.model), self.penalty is not None
        flat = ("points", "mixture")
        if len(samples) == 1 and self.model not in flat:
            raise ConfigError(f"model {self.model!r} expected images, got data {self.data!r} of shape {samples} a "
                              f"sample; use model 'points' or 'mixture'")
        if len(samples) == 3 and self.model in flat:
            raise ConfigError(f"model {self.model!r} expected data of 2-D points (ring, grid), got {self.data!r}; use "
                              f"another model: {', '.join(n for n in models.names if n not in flat)}")
        if len(samples) == 1 and self.augment:
            raise ConfigError(f"expected images to augment, got points, {self.data!r}; leave out augment")
        found = STABLE if self.model == "dcgan_small" and not self.plain else {}
        defaults = PLAIN | {"batch": recipe.batch, "g_lr": recipe.lr, "d_lr": recipe.lr, "beta1": recipe.beta1}
        for name, value in (defaults | found).items():
            if getattr(self, name) is None and name != "epochs" and not (name == "gamma" and given):
                setattr(self, name, value)
        if self.gamma is not None and not self.penalty:
            raise ConfigError(f"expected a penalty for gamma {self.gamma!r} to weigh, got none; add --penalty r1, or "
                              f"leave gamma out (--gamma none, if it is from --config)")
        if self.batch % self.pack:
            raise ConfigError(f"expected a batch that is a multiple of the pack of {self.pack}, got {self.batch}; "
                              f"choose another batch or pack")
        return recipe._replace(epochs=found.get("epochs", recipe.epochs))


def from_options(options):
    """A Config of these options (mapping name -> value); ConfigError for an unknown name."""
    known = {f.name for f in fields(Config)}
    for name in options:
        if name not in known:
            raise ConfigError(f"unknown option {name!r}; choose among: {', '.join(sorted(known))}")
    return Config(**options)


def check_effect(config):
    """Raise ConfigError for options of a new run that would have no effect."""
    if (config.image_size, config.colour) != (28, False) and not str(config.data).startswith("images:"):
        raise ConfigError(f"expected a folder of images (images:FOLDER) beside image_size or colour, got "
                          f"{config.data!r}, which is used as it is; leave out image_size and colour")
    if config.tf32 and config.backend == "numpy":
        raise ConfigError("expected backend cupy beside tf32, got numpy; leave tf32 out")


def source(config):
    """The data of a Config: images (N, H, W, C) or a Mixture, the shape of a sample, and labels (N,) or None.

    Sets `classes` of a conditional Config, and raises ConfigError if its data has no labels.
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
        raise ConfigError(f"expected data with labels for a conditional GAN, got {config.data!r}, which has none; "
                          f"leave out --conditional")
    if labels.min() < 0:
        raise ConfigError(f"expected labels from 0 on in {config.data!r}, got {labels.min()}; number classes 0, 1, …")
    config.classes = int(labels.max()) + 1
    if config.classes > len(labels):
        raise ConfigError(f"expected labels 0, 1, … of no more classes than the {len(labels)} samples in "
                          f"{config.data!r}, got one of {config.classes - 1}; number the classes from 0 on")
    return images, shape, labels


def build(config, recipe, shape, weights, training, steps):
    """The GAN of a resolved Config.

    shape: of a sample; weights, training: seeds or generators; steps: length of the run, for schedules.
    """
    c = config
    options = {"width": c.width, "latent": c.latent_dim, "image": tuple(shape), "augment": c.augment, "pack": c.pack,
               "spectral": c.spectral, "minibatch_std": c.minibatch_std, "dropout": c.dropout, "classes": c.classes}
    G, D = recipe.build(rng=weights, backend=c.backend, **{k: v for k, v in options.items() if v is not None})
    g_opt, d_opt = (optim.Adam(optim.schedule(c.schedule, lr, n), c.beta1, c.beta2, weight_decay=c.weight_decay)
                    for lr, n in [(c.g_lr, steps * c.m), (c.d_lr, steps * c.k)])
    return GAN(G, D, losses.get(c.loss, c.smoothing), g_opt, d_opt, c.latent, k=c.k, m=c.m, rng=training,
               penalty=c.penalty, gamma=_annealed("gamma", c.gamma, steps), g_penalty=c.g_penalty, average=c.average,
               noise_std=_annealed("noise_std", c.noise_std, steps) or 0.0, clip=c.clip)


def endpoints(name, value):
    """[number] or [start, end] of an option of type Weight; ConfigError for anything else."""
    try:
        numbers = [float(part) for part in str(value).split(":")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 2 or not all(0 <= n < inf for n in numbers):
        raise ConfigError(f"expected {name} as a number ≥ 0, or start:end of them, got {value!r}")
    return numbers


def _annealed(name, value, steps):
    """A number, or a schedule from start to end over the run."""
    if value is None:
        return None
    numbers = endpoints(name, value)
    return numbers[0] if len(numbers) == 1 else optim.anneal(*numbers, steps)


def _checked(f, value):
    """The value of the field f, None as its default; ConfigError if its type, bounds or choices do not allow it."""
    (types, word), m = _TYPES[f.type], f.metadata
    if value is None or not m:
        return f.default if value is None else value
    if value == "":
        raise ConfigError(f"expected {f.name} to be {word}, got nothing; leave it out")
    if not isinstance(value, types) or isinstance(value, bool) != (f.type is bool):
        raise ConfigError(f"expected {f.name} to be {word}, got {value!r}")
    if f.type in (int, float) and not (m["least"] <= value < m["below"] and value > m["above"]):
        bounds = [f"{sign} {_NUMBERS.get(bound) or format(bound, 'g')}" for sign, bound in
                  (("≥", m["least"]), (">", m["above"]), ("<", m["below"])) if bound != -inf]
        raise ConfigError(f"expected {f.name} to be {word} {' and '.join(bounds)}, got {value!r}")
    if f.type == Weight:
        endpoints(f.name, value)
    if m["choices"]:
        value = value.replace("-", "_")
        choose(f.name, value, dict.fromkeys(m["choices"]))
    return value
