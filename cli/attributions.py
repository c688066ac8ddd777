"""What `explain` runs: methods by name, with the options that each takes, one or several to compare."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..engine.images import Images
from ..engine.methods import ATTRIBUTIONS, attribution_method
from ..engine.methods.attribution import Attribution, CertificateWarning
from ..engine.model import Model
from ..importers.errors import InputError, nearest_names
from .images import progress_bar
from .interrupt import Interrupt, interruptible

if TYPE_CHECKING:
    from ..engine.metrics.check import SanityCheck

ALL = "all"
_PANEL = "Options of methods"
_SHARED = ("model", "images", "target", "memory", "progress")  # what every method takes

# Option -> its type, and its help. Methods' functions have the defaults.
OPTIONS: dict[str, tuple[type, str]] = {
    "layer": (str, "CAMs: feature map, a tensor or node. [default: the last one] occlusion: what is covered."),
    "signed": (bool, "saliency: whether the pixel should be brighter or darker."),
    "baseline": (str, "What an image is compared with: black, mean (its own colour), blur, noise or a colour #rrggbb."),
    "background": (str, "expected_gradients: a folder or glob of images to compare with."),
    "steps": (int, "integrated_gradients: gradients on the way from the baseline."),
    "samples": (int, "Methods that draw: how many noisy images, baselines or masks."),
    "noise": (float, "smooth_grad: standard deviation, as a share of the image's range."),
    "kind": (str, "smooth_grad: mean, squared or variance."),
    "rule": (str, "lrp: epsilon, alpha-beta or composite; integrated_gradients: gauss-legendre or riemann."),
    "epsilon": (float, "lrp, composite and epsilon: what steadies divisions, in units of a layer. [default: 1e-6]"),
    "alpha": (float, "lrp, composite [default: 1] and alpha-beta [default: 2]: weight of what speaks for."),
    "unit": (str, "deconvnet: all, or strongest: only a channel's strongest place."),
    "grid": (int, "rise: cells of a mask along each side."),
    "share": (float, "rise: of a mask's cells that are seen."),
    "patch": (int, "occlusion: pixels along each side of what is covered. [default: 16]"),
    "stride": (int, "occlusion: pixels from one position to the next. [default: 8]"),
    "fill": (str, "occlusion: what covers: zero, black, mean, blur, noise, a colour #rrggbb or shift:2."),
    "high": (float, "segmentation: quantile of the saliency above which colours are the object's."),
    "low": (float, "segmentation: quantile below which they are the background's."),
    "seed": (int, "Of everything that is drawn."),
}


def takes_method_options(function: Callable[..., None]) -> Callable[..., None]:
    """A verb with a parameter `options` becomes one with all of OPTIONS; None is what was not given."""
    signature = inspect.signature(function, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.name != "options"]
    more = [_parameter(name, *entry) for name, entry in OPTIONS.items()]

    @functools.wraps(function)
    def verb(model: Model, **values: Any) -> None:
        function(model, options={name: values.pop(name) for name in OPTIONS}, **values)

    verb.__signature__ = inspect.Signature([*own, *more])  # type: ignore[attr-defined]
    return verb


def _parameter(name: str, kind: type, text: str) -> inspect.Parameter:
    flag = [f"--{name}"] if kind is bool else []  # no --no-signed
    optional: Any = kind | None
    annotation = Annotated[optional, typer.Option(*flag, help=text, rich_help_panel=_PANEL)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


@dataclass(frozen=True)
class Run:
    """One method with its options."""

    method: str
    title: str
    options: Mapping[str, Any]

    def call(self, model: Model, images: Images, **more: Any) -> Attribution:
        """The method on images, with its options."""
        return attribution_method(self.method)(model, images, **self.options, **more)

    def on(self, model: Model, images: Sequence[str], interrupt: Interrupt, **common: Any) -> Attribution:
        """Its result, with a progress bar; a certificate that failed is in the result, not a warning."""
        with warnings.catch_warnings(), progress_bar(self.title) as progress:
            warnings.simplefilter("ignore", CertificateWarning)
            return self.call(model, images, **common, progress=interrupt.stops(progress))

    def checked(self, found: Attribution, model: Model, images: Sequence[str], target: Any, memory: Any) -> SanityCheck:
        """What its result is worth."""
        from ..engine.metrics.check import sanity_check

        with warnings.catch_warnings(), progress_bar(f"checking {self.title}") as progress:
            warnings.simplefilter("ignore", CertificateWarning)
            return sanity_check(model, found, images, self.call, target=target, memory=memory, progress=progress)


def one_run(method: str, options: Mapping[str, Any]) -> Run:
    """The method with the options that were given (not None).

    Raises InputError when there is no such method, or it takes no such option.
    """
    name = method.replace("-", "_").lower()
    if name not in ATTRIBUTIONS:
        raise InputError(f"no method {method!r}; {nearest_names(name, ATTRIBUTIONS)}")
    given = {option: value for option, value in options.items() if value is not None}
    foreign = [option for option in given if option not in _takes(name)]
    if foreign:
        raise InputError(f"{name} has no option --{foreign[0]}")
    return Run(name, ATTRIBUTIONS[name], given)


def several_runs(methods: Sequence[str], options: Mapping[str, Any]) -> list[Run]:
    """One after the other; "all" is every method. Each gets those of the options that it takes."""
    names = list(ATTRIBUTIONS) if list(methods) == [ALL] else methods
    taken = {option: value for option, value in options.items() if value is not None}
    runs = [one_run(name, {}) for name in names]
    for option in taken:
        if not any(option in _takes(run.method) for run in runs):
            raise InputError(f"none of these methods has an option --{option}")
    return [
        replace(run, options={key: value for key, value in taken.items() if key in _takes(run.method)}) for run in runs
    ]


def runs_of_layers(method: str, layers: Sequence[str], options: Mapping[str, Any]) -> list[Run]:
    """The same method at several layers."""
    runs = [one_run(method, {**options, "layer": layer}) for layer in layers]
    return [replace(run, title=str(run.options["layer"])) for run in runs]


@dataclass(frozen=True)
class Results:
    """What came of one run or several, all of the same images and targets."""

    subject: str  # what is compared
    found: list[Attribution]
    titles: list[str]
    left_out: list[str]  # a line for each method that does not fit this network
    checks: list[SanityCheck]  # of each result, where they were asked for
    stopped: str = ""  # how far it came, where Ctrl-C was pressed


def run_all(
    runs: Sequence[Run], subject: str, model: Model, images: Sequence[str], *, check: bool, target: Any, memory: Any
) -> Results:
    """Every run's result, until Ctrl-C is pressed. Of several, those that do not fit are left out.

    Raises InputError when none fits.
    """
    results = Results(subject, [], [], [], [])
    for number, run in enumerate(runs, 1):
        try:
            with interruptible() as interrupt:
                found = run.on(model, images, interrupt, target=target, memory=memory)
            stopped = found.stopped
            if interrupt.pressed and not stopped and number < len(runs):
                stopped = f"stopped after {number} of {len(runs)} runs"
            checks = [run.checked(found, model, images, target, memory)] if check and not stopped else []
            results.found.append(found)
            results.titles.append(run.title)
            results.checks.extend(checks)
            if stopped:
                return replace(results, stopped=stopped)
        except InputError as error:
            if len(runs) == 1:
                raise
            results.left_out.append(f"{run.title}: {error}")
    if not results.found:
        raise InputError(results.left_out[0])
    return results


def _takes(name: str) -> list[str]:
    """The options of a method's own."""
    parameters = inspect.signature(attribution_method(name)).parameters
    return [option for option in parameters if option not in _SHARED]
