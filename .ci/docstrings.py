"""Check the public docstrings with numpydoc: names, methods, parameters, returns."""

import inspect
import sys

from numpydoc.validate import validate

import skdec.clustering
import skdec.diagnostics
import skdec.encoders
import skdec.plotting

# See Also, examples and an extended summary are for where they help (the classes and
# functions have examples); the sections' own order and contents are all checked
# RT02: scikit-learn's docstrings name a single return value too
OPTIONAL = {"SA01", "EX01", "ES01", "RT02"}
# scikit-learn's own, inherited
FOREIGN = {
    "fit_predict",
    "get_feature_names_out",
    "get_metadata_routing",
    "get_params",
    "set_fit_request",
    "set_output",
    "set_params",
    "set_score_request",
}


def public_names():
    """Yield every public function, class and method defined here."""
    parts = skdec.clustering, skdec.diagnostics, skdec.encoders, skdec.plotting
    for module in (skdec, *parts):
        for name in module.__all__:
            thing = getattr(module, name)
            if not getattr(thing, "_is_protocol", False):  # nobody makes one
                yield f"{module.__name__}.{name}"
            if inspect.isclass(thing):
                for method in dir(thing):
                    if not method.startswith("_") and method not in FOREIGN:
                        yield f"{module.__name__}.{name}.{method}"


def main():
    """Print what numpydoc finds; exit with 1 if anything."""
    checked, found = 0, 0
    for name in public_names():
        checked += 1
        for code, message in validate(name)["errors"]:
            if code not in OPTIONAL:
                found += 1
                print(f"{name}: {code} {message}")
    print(f"numpydoc: {checked} docstrings, {found} faults")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
