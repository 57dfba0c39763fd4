"""The parts of the benchmarks: what each is, how long it takes, and its options.

A part is a generator of a module here, ``part(options)``.  It yields a Table whenever
that has gained a row.
"""

import argparse
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec


@dataclass(frozen=True)
class Part:
    """A part of the benchmarks, by the name that ``--only`` takes."""

    name: str
    function: str  # module:function
    minutes: float  # about how long it takes on two cores
    needs: tuple[str, ...] = ()  # modules without which it is left out

    @property
    def limit(self):
        """Seconds after which it is ended, unless ``--limit`` says another."""
        return 60 * max(10.0, 3 * self.minutes)

    @property
    def missing(self):
        """The modules that it needs and that are not installed."""
        return [name for name in self.needs if find_spec(name) is None]

    @property
    def place(self):
        """Where the generator of its tables is."""
        return f"benchmarks.{self.function}"


def generator(place):
    """The generator of tables at a place, module:function."""
    module, function = place.split(":")
    return getattr(import_module(module), function)


DASK = ("dask", "distributed")
# of the encoder, in deep clustering
VARIANTS = "plain", "unwhitened", "augmented", "mapped", "linear"

PARTS = {
    part.name: part
    for part in (
        Part("tsne.exact", "tsne:exact", 2),
        Part("tsne.approximations", "tsne:approximations", 20),
        Part("tsne.slow-peers", "tsne:slow_peers", 30, ("openTSNE",)),
        Part("tsne.placing", "tsne:placing", 2, ("openTSNE",)),
        Part("tsne.growth", "tsne:growth", 1),
        Part("tsne.whole", "tsne:whole", 2),
        Part("tsne.sums", "fast_sum:sums", 8),
        Part("tsne.maps", "fast_sum:maps", 3),
        Part("tsne.attraction", "attraction:attraction", 4),
        Part("tsne.indexes", "indexes:indexes", 15),
        Part("tsne.sparse", "sparse_rows:sparse_rows", 20),
        Part("tsne.memory", "cost:memory", 3),
        Part("tsne.large", "cost:large", 15),
        Part("tsne.settling", "cost:settling", 15),
        Part("tsne.start_cost", "cost:starts", 30),
        Part("tsne.new_rows", "cost:new_rows", 6),
        Part("tsne.start_up", "cost:start_up", 4),
        Part("tsne.schedule", "schedule:schedules", 10),
        Part("tsne.starts", "schedule:starts", 5),
        Part("tsne.diagnostics", "reliability:diagnostics", 8),
        Part("gallery", "gallery:gallery", 8, ("matplotlib",)),
        Part("clustering.steps", "clustering:steps", 3),
        Part("clustering.predictions", "clustering:predictions", 1),
        Part("clustering.whole", "clustering:whole", 2),
        Part("clustering.memory", "clustering:memory", 2),
        Part("clustering.solver", "solver:solver", 1),
        Part("clustering.quality", "quality:quality", 15),
        Part("clustering.forms", "quality:forms", 4),
        Part("deep.digits", "deep:digits", 4, ("torch",)),
        Part("deep.digits-longer", "deep:digits_longer", 6, ("torch",)),
        Part("deep.digits-of-rows", "deep:digits_of_rows", 4, ("torch",)),
        Part("deep.digits-augmented", "deep:digits_augmented", 8, ("torch",)),
        Part("deep.mnist", "deep:mnist", 50, ("torch",)),
        Part("deep.mnist-augmented", "deep:mnist_augmented", 50, ("torch",)),
        Part("deep.mnist-augmented-map", "deep:mnist_augmented_map", 70, ("torch",)),
        Part("deep.mnist-longer", "deep:mnist_longer", 60, ("torch",)),
        Part("deep.mnist-union", "deep:mnist_union", 80, ("torch",)),
        Part("deep.mnist-10000", "deep:mnist_10000", 15, ("torch",)),
        Part(
            "deep.mnist-10000-augmented", "deep:mnist_10000_augmented", 15, ("torch",)
        ),
        Part(
            "deep.mnist-10000-augmented-map",
            "deep:mnist_10000_augmented_map",
            15,
            ("torch",),
        ),
        Part("deep.mnist-10000-longer", "deep:mnist_10000_longer", 15, ("torch",)),
        Part("deep.linear", "deep_linear:linear", 5, ("scanpy", "river")),
        Part(
            "deep.linear-of-rows", "deep_linear:linear_of_rows", 5, ("scanpy", "river")
        ),
        Part("deep.texts", "deep:texts", 10, ("torch",)),
        Part("deep.counts", "deep:counts", 10, ("torch",)),
        Part("deep.cells", "deep:cells", 8, ("torch", "scanpy")),
        Part("deep.iris", "deep:iris", 3, ("torch",)),
        Part("deep.wine", "deep:wine", 3, ("torch",)),
        Part("deep.breast-cancer", "deep:breast_cancer", 6, ("torch",)),
        Part("deep.segment", "deep:segment", 8, ("torch", "river")),
        Part("deep.shuttle", "deep:shuttle", 60, ("torch", "river")),
        Part("deep.shuttle-uneven", "deep:shuttle_uneven", 10, ("torch", "river")),
        Part("deep.clustpy", "deep_clustpy:clustpy", 30, ("torch", "clustpy")),
        Part("dask.step", "distributed:step", 1, DASK),
        Part("dask.overhead", "distributed:overhead", 1, DASK),
        Part("dask.predict", "distributed:predict", 3, DASK),
        Part("dask.memory", "distributed:memory", 6, DASK),
        Part("dask.neighbors", "distributed:neighbors", 10, DASK),
        Part("dask.sample", "distributed:sample", 5, DASK),
    )
}


def chosen(names):
    """The parts of these names; ``tsne`` stands for every ``tsne.…``."""
    found = []
    for name in names or PARTS:
        some = [p for p in PARTS.values() if p.name == name or _within(p.name, name)]
        if not some:
            raise KeyError(f"no part {name!r}; there are {', '.join(PARTS)}")
        found += [part for part in some if part not in found]
    return found


def _within(part, group):
    return part.startswith(f"{group}.")


def add_options(parser):
    """The options of the parts."""
    add = parser.add_argument
    add("--small", action="store_true", help="small data: whether all of it runs")
    add("--threads", type=int, default=2)
    add("--rounds", type=int, help="how often what is timed is run")
    add("--seeds", type=int, default=5, help="how many, of what depends on chance")
    add("--mnist", help="an .npz with X and y; else it is downloaded from OpenML")
    add("--folder", help="where files of rows are written, of dask")
    add("--sizes", type=int, nargs="+", help="of rows, where parts go up to a million")
    deep = parser.add_argument_group("deep clustering")
    deep.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    deep.add_argument("--device", default="auto", help="where networks train")
    deep.add_argument("--precision", choices=["single", "mixed"], default="mixed",
                      help="of training; mixed is slow without bfloat16")  # fmt: skip
    deep.add_argument("--epochs", type=int, help="of pre-training")
    deep.add_argument("--passes", type=int, help="of clustering, at most")
    deep.add_argument("--dropout", type=float, help="where rows are augmented")
    deep.add_argument("--no-rows", dest="rows", action="store_false",
                      help="no methods on the rows themselves")  # fmt: skip
    deep.add_argument("--maps", action="store_true", help="maps of encodings too")


def options_parser():
    """A parser of the options alone."""
    parser = argparse.ArgumentParser(add_help=False)
    add_options(parser)
    return parser
