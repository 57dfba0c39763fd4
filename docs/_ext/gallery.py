"""What the gallery runs, in which order, and what it only shows."""

import ast
import re
from importlib.util import find_spec
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"

# maps first, then clusters; what is not here follows by its name
ORDER = [
    "plot_digits_map",
    "plot_honest_map",
    "plot_family",
    "plot_tsne_parameters",
    "plot_perplexity",
    "plot_exaggeration",
    "plot_dof",
    "plot_collapse",
    "plot_weights_and_held_rows",
    "plot_texts",
    "plot_animation",
    "plot_mnist",
    "plot_cells_map",
    "plot_clustering_parameters",
    "plot_choosing_k",
    "plot_memberships",
    "plot_uneven_clusters",
    "plot_outliers_and_density",
    "plot_streaming",
    "plot_grid_search",
    "plot_convergence",
    "plot_deep_clustering",
    "plot_convolutional_encoder",
    "plot_dask",
]
# of a few seconds each
QUICK = [
    "plot_convergence",
    "plot_digits_map",
    "plot_outliers_and_density",
    "plot_texts",
]


def position(filename):
    """Where an example stands in the gallery: a key to sort by."""
    name = Path(filename).stem
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def can_run(path):
    """Whether all that an example imports is installed."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return all(find_spec(name.partition(".")[0]) for name in names)


def to_run(quick):
    """The names of the examples that are run."""
    names = [path.stem for path in EXAMPLES.glob("plot_*.py") if can_run(path)]
    return sorted(name for name in names if not quick or name in QUICK)


def configuration(quick):
    """The settings of sphinx-gallery."""
    return {
        "examples_dirs": "../examples",
        "gallery_dirs": "auto_examples",
        "filename_pattern": rf"/({'|'.join(map(re.escape, to_run(quick)))})\.py$",
        # what has another form than an example of the gallery
        "ignore_pattern": r"(^|[/\\])(?!plot_)[^/\\]*\.py$",
        "within_subsection_order": "gallery.position",
        "image_scrapers": ("matplotlib",),
        "matplotlib_animations": False,
        "default_thumb_file": str(Path(__file__).parents[1] / "_static" / "code.svg"),
        "thumbnail_size": (400, 300),
        "abort_on_example_error": False,
        "only_warn_on_example_error": False,
        "download_all_examples": False,
        "show_signature": False,
        "remove_config_comments": True,
        "write_computation_times": False,
        "min_reported_time": 1e9,
    }
