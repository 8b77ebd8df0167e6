"""By hand against by differences: the verdict on an array of derivatives, and the evidence for its cause.

Without any error of a rule, a derivative by hand aᵢ and the numerical one nᵢ, of Σₖ wₖ yₖ, differ by up to

    noiseᵢ = 4·gapᵢ + Σₖ |wₖ| 4ρₖ/h + 4u|xᵢ||aᵢ|/h + spreadᵢ

that is, truncation (gapᵢ: how far the estimate at the neighbouring step is), the rounding ρₖ of yₖ as measured
(differences.py), that of xᵢ + h, and, where aᵢ is nothing but rounding, its spread (point.py). Two tolerances hold at
once. With M = max(max|a|, max|n|):

    of the array     |aᵢ − nᵢ| ≤ TOLERANCE·max(M, FLOOR)        report.py says why; the noise instead, where that is
                                                                larger (sharply bent f), up to NOISE·max(M, FLOOR)
    of each element  |aᵢ − nᵢ| ≤ ELEMENT·max(|aᵢ|, |nᵢ|) + OWN·max(M, 1) + noiseᵢ

OWN is for the rounding of aᵢ, a sum of terms of order 1 or M: some thousand u. What remains, ELEMENT, is an error of
the rule; one of 0.1 % is beyond it by a factor ten. With f and x of order 1 the noise is 10⁻¹² to 10⁻¹¹, so that an
error of 0.1 % shows in an element that is 10⁷ times smaller than the largest; for the array's tolerance 10⁵ is the
limit. ρ and spread are measured only for elements that the other terms do not excuse.

Arrays of up to `limit` elements are checked one element at a time, larger ones along random directions r: each
component is ±(½ … 3/2), with the sign of the gradient under test, so that none is left out and none cancels
another (any direction is a valid test of a gradient; with these the signal stands √n higher above rounding).
Of several directions the last is levelled: rᵢ is also divided by |aᵢ| (by max|a|/10⁶ at least), so that
small elements count as much as large ones. A direction whose estimates disagree among themselves crosses a kink
at every h and is drawn anew. If a direction fails, single elements are searched for the index to report.
"""

import numpy as np   # host arrays: a report's numbers

from .. import backend
from ..layers import Affine
from . import diagnosis
from .differences import UNIT, difference, kinks, rounding
from .point import SEARCH
from .report import FLOOR, TOLERANCE

ELEMENT = 1e-4
OWN = 1e-12
NOISE = 1e-6
REDRAWS = 8     # of a direction that crosses a kink


def judge(report, quantity, a, n, flat, gaps, inputs, rounding_of, kink_at, kink, cause):
    """Record what is wrong with the elements `flat` of an array.

    a: by hand, the whole array; n, gaps: of those elements; rounding_of, kink_at: functions of positions in flat, and
    kink, cause: functions that give the lines on a kink and on what else is wrong (of positions, too).
    """
    here, largest = a.reshape(-1)[flat], max(abs(a).max(), abs(n).max())
    scale, off, size = max(largest, FLOOR), abs(here - n), np.maximum(abs(here), abs(n))
    report.note(quantity, float(off.max()) / scale)
    noise, of_element = 4 * gaps, ELEMENT * size + OWN * max(largest, 1.0)
    of_array = lambda: np.maximum(TOLERANCE * scale, np.minimum(noise, NOISE * scale))
    suspects = np.flatnonzero(~((off <= of_array()) & (off <= of_element + noise)) & (off <= NOISE * scale))
    noise[suspects] += rounding_of(suspects)
    allowed = of_element + noise
    wrong = ~(off <= of_array())     # not: NaN is wrong too
    small = ~wrong & (off > allowed)
    places = np.flatnonzero(wrong | small)
    if not places.size:
        return
    on_kink = kink_at(places)
    index = lambda i: np.unravel_index(int(flat[i]), a.shape)
    if on_kink.any():
        i = places[on_kink][0]
        report.fail(quantity, f"{quantity}[{', '.join(map(str, index(i)))}]: cannot be compared, as the numerical "
                    f"derivative does not exist", kink(i), index=index(i), by_hand=float(here[i]), inputs=inputs)
    places = places[~on_kink]
    if not places.size:
        return
    if wrong[places].any():
        i = places[int(np.where(wrong[places], off[places], -1).argmax())]
        tolerance, error = TOLERANCE, off[i] / scale
        kept = np.setdiff1d(np.arange(flat.size), np.flatnonzero(wrong | small)[on_kink])
        text = cause(kept)
    else:
        i = places[int((off / np.maximum(allowed, 1e-300))[places].argmax())]
        tolerance, error = allowed[i] / size[i], off[i] / size[i]
        text = (f"right in norm, but this element, {size[i] / largest:.0e} of the largest, is {error:.1%} off; the "
                f"differences know it to {tolerance:.0e}")
    report.differ(quantity, index(i), float(here[i]), float(n[i]), float(error), float(tolerance), inputs, text)


class Gradient:
    """The gradient of ⟨weights, f()⟩ with respect to args[name] of a point, by hand and by differences.

    again: a function (between, times, within) that calls the map once more and returns this gradient: without another
    batch in between, with grads that held `times` as much before, or in a context. None: for a loss.
    first: of jvp_backward, a function that returns what backward gives for this gradient, or None; beside: of its dx
    the dtx, of its dtx the dx.
    """

    def __init__(self, point, report, quantity, name, by_hand, f, weights, again=None, first=lambda: None, beside=None):
        self.point, self.report, self.quantity, self.name = point, report, quantity, name
        self.by_hand, self.f, self.weights = by_hand, f, weights
        self.again, self.first, self.beside = again, first, beside
        self.inputs = point.inputs[2 if quantity.startswith("second") else 1]

    def check(self, directions, limit):
        """Compare; what is wrong goes into the report."""
        expected, got = self.point.args[self.name].shape, getattr(self.by_hand, "shape", None)
        if got != expected:
            cause = "it has the shape of the transpose" if got and got == expected[::-1] else ""
            if self.by_hand is None:
                cause = ("backward returned None; end it with: return dx" if self.quantity == "dx" else
                         f"jvp_backward returned None for d{self.name}; end it with: return dx, dtx")
            self.report.add_shape(self.quantity, f"of {self.name}, ", expected, self.by_hand, cause)
            return
        self.a = backend.asnumpy(self.by_hand).astype("float64", copy=False)
        if self.a.size <= limit:
            self.elements(np.arange(self.a.size))
            return
        for k in range(directions):
            if not self.direction(levelled=0 < k == directions - 1):
                return

    def along(self, r):
        """The numerical derivative along r."""
        return difference(self.point.move(self.name, r, self.f), lambda y: (self.weights * y).sum())

    def elements(self, flat):
        """Compare one element at a time."""
        point, unit = self.point, lambda i: self.point.unit(self.name, flat[i])
        moved = lambda i: point.move(self.name, unit(i), self.f)
        estimates = [self.along(unit(i)) for i in range(flat.size)]
        n, gaps = (np.array([float(value) for value in values]) for values in
                   zip(*((estimate.value, estimate.gaps) for estimate in estimates)))
        x = backend.asnumpy(point.args[self.name]).reshape(-1)[flat]

        def rounding_of(positions):
            if not positions.size:
                return 0.0
            rho = [self.rounding(unit(i), estimates[i].h, abs(x[i] * self.a.reshape(-1)[flat[i]])) for i in positions]
            return np.array(rho) + (point.spread(self.again).reshape(-1)[flat[positions]] if self.again else 0.0)

        def kink_at(positions):
            single = point.single()
            return np.array([single or bool(kinks(moved(i))[0].any()) for i in positions])

        def kink(i):
            at = np.unravel_index(int(flat[i]), self.a.shape)
            return point.kink(f"{self.name}[{', '.join(map(str, at))}]")
        judge(self.report, self.quantity, self.a, n, flat, gaps, self.inputs, rounding_of, kink_at, kink,
              lambda kept: self.cause(n[kept], flat[kept]))

    def rounding(self, r, h, argument):
        """The rounding error of a difference of step h along r. argument: Σᵢ |xᵢ aᵢ| over what moves."""
        rho = rounding(self.point.move(self.name, r, self.f), h)
        return float((abs(self.weights) * rho).sum()) + 4 * UNIT * float(argument) / h

    def direction(self, levelled):
        """Compare along one random direction; return whether it is right."""
        point, a = self.point, self.a
        for _ in range(REDRAWS):
            size = point.rng.uniform(0.5, 1.5, a.shape)
            if levelled and np.isfinite(a).all() and a.any():
                size = size / np.maximum(abs(a), 1e-6 * abs(a).max())
            r = np.where(a != 0, np.sign(a), 1.0) * size / (np.linalg.norm(size) if levelled else a.size**0.5)
            device = backend.to(r, point.where)
            estimate = self.along(device)
            if estimate.settled:
                break
        by_hand, n = float((a * r).sum()), float(estimate.value)
        off, scale = abs(by_hand - n), max(abs(by_hand), abs(n))
        if levelled and not estimate.settled and np.isfinite(off):
            return True     # small elements give the estimates little to agree on
        allowed = TOLERANCE * max(scale, FLOOR)
        if levelled:
            allowed = min(allowed, TOLERANCE * scale + OWN * max(abs(a).max(), 1.0))
        if allowed < off <= NOISE * max(scale, FLOOR):
            argument = abs(a * backend.asnumpy(point.args[self.name])).sum()
            noise = 4 * float(estimate.gaps) + self.rounding(device, estimate.h, argument)
            noise += float(point.spread(lambda: (self.again() * device).sum())) if self.again else 0.0
            allowed = allowed + noise if levelled else max(allowed, min(noise, NOISE * max(scale, FLOOR)))
        if not levelled:
            self.report.note(self.quantity, off / max(scale, FLOOR))
        if off <= allowed:
            return True
        n_failures = len(self.report.failures)
        self.elements(point.rng.permutation(a.size)[:SEARCH])
        if len(self.report.failures) == n_failures:
            self.report.differ(self.quantity, (), by_hand, n, off / max(scale, 1e-300), allowed / max(scale, 1e-300),
                               self.inputs, "" if estimate.settled else point.kink("every direction that was tried"))
        return False

    def cause(self, n, flat):
        """Why single elements are wrong: first by further calls, then by patterns in the numbers."""
        here, point = lambda array: backend.asnumpy(array).reshape(-1)[flat], self.point
        if diagnosis.close(here(self.by_hand), n):      # off by so little that the causes cannot be told apart
            return ""
        second = self.quantity.startswith("second")
        map_, key = "jvp_backward" if second else "backward", f'grads["{self.name}"]'
        known = self.name in point.filled
        if self.again:
            with np.errstate(all="ignore"):
                lost = here(self.again(times=2.0)) - here(self.by_hand)     # a right rule, or a wrong sum, gives 0
                if known and diagnosis.close(-lost, here(point.filled[self.name])):
                    return f"{key} = ... instead of {key} += ...: what it held before {map_} is lost"
                if diagnosis.close(here(self.again(between=False)), n):
                    return (f"right only while no other batch passes between forward and {map_}: something is kept on "
                            f"the layer instead of in the cache")
                if second and diagnosis.close(here(self.again(another=False)), n):
                    return ("right only while no other jvp runs between jvp and jvp_backward: something is kept on the "
                            "layer instead of in the tcache")
                if diagnosis.apart(here(self.again()), here(self.by_hand)):
                    return (f"{map_} gives something else when it is called again: it draws random numbers, or changes "
                            f"the layer; what forward has drawn belongs into the cache")
        text = self.exchanged(lambda array: diagnosis.close(here(array), n)) if second else ""
        if text:
            return text
        if known and not self.a.any() and n.any():
            return f"nothing was added; write {key} += ... (grads = ... gives the name grads to another object)"
        text = diagnosis.of(self.a, n, flat, point.counts())
        if text or not self.again or not np.isfinite(self.a).all():
            return text
        text = (self.turned(map_, lambda array: diagnosis.close(here(array), n)) or self.first_only(map_)
                or self.alone(int(flat[abs(here(self.a) - n).argmax()])))
        if text or flat.size < self.a.size or second and self.name in ("x", "tx"):
            return text
        values = [backend.asnumpy(args[self.name]) for args in (point.args, point.origin) if self.name in args]
        return diagnosis.missing(self.a, n[flat.argsort()].reshape(self.a.shape), self.name, *values)

    def exchanged(self, right):
        """jvp_backward is right but for ⟨dy, y⟩, or with two of its arguments or results in each other's place."""
        first, found = self.first(), []
        if first is not None and first.any() and right(self.a + backend.asnumpy(first)):
            gives = "adds into grads" if self.name in self.point.filled else "returns"
            also = " with grads" * (self.name in self.point.filled)
            return (f"the gradient of ⟨dy, y⟩ in {self.name} is missing: jvp_backward {gives} only that of ⟨dty, ty⟩; "
                    f"let it call backward{also}")
        if self.name in ("x", "tx") and getattr(self.beside, "shape", None) == self.a.shape and right(self.beside):
            found.append("dx and dtx are returned in the wrong order; end jvp_backward with: return dx, dtx")
        if right(self.again(within=self.point.exchanged())):
            found.append("jvp_backward would be right if dy and dty were exchanged there")
        return "; or ".join(found)

    def turned(self, map_, right):
        """The map is right with a parameter in another order of its elements."""
        point = self.point
        if hasattr(point.layer, "layers"):      # of a network there would be too many
            return ""
        inherited = isinstance(point.layer, Affine) and type(point.layer).backward is Affine.backward
        who = f"adjoint (which {map_} calls)" if inherited and self.name in ("x", "tx") else map_
        for name in point.filled:
            for turn, words in diagnosis.turns(point.args[name].ndim):
                W = point.args[name].copy()
                if turn(W).shape == W.shape and right(self.again(within=point.replaced(name, turn(W)))):
                    return f"{who} reads {name} {words} where it should not, or the other way round"
        return ""

    def first_only(self, map_):
        """jvp_backward gives what backward gives, which is right for y alone."""
        point, first = self.point, self.first()
        if first is None or diagnosis.apart(backend.asnumpy(first), self.a):
            return ""
        r = point.normal(self.a.shape)
        n = difference(point.move(self.name, r, point.outputs), lambda y: (point.dy.reshape(-1) * y).sum()).value
        if abs(float((first * r).sum()) - float(n)) > diagnosis.CLOSE * abs(float(n)):
            return ""
        gives, of = ("returns", " (of an activation: f″(x)·tx·dty)") if self.name == "x" else ("adds", "")
        return f"the gradient of ⟨dty, ty⟩ in {self.name} is missing{of}; {map_} {gives} what backward {gives}"

    def alone(self, place):
        """backward takes each element of dy to one of dx, but an element of x moves several of y."""
        point = self.point
        if self.quantity != "dx" or point.y.shape != self.a.shape:
            return ""
        signs = point.xp.where(point.normal(self.a.shape) > 0, 1.0, -1.0)
        with point.scaled_dy(signs):
            if diagnosis.apart(backend.asnumpy(self.again() * signs), self.a):
                return ""
        moved = abs(backend.asnumpy(difference(point.move("x", point.unit("x", place), point.outputs)).value))
        largest, moved[place] = moved.max(), 0.0
        if moved.max() <= diagnosis.CLOSE * largest:
            return ""
        index = lambda k: f"[{', '.join(map(str, np.unravel_index(int(k), self.a.shape)))}]"
        return (f"backward makes each element of dx from the same element of dy alone, but x{index(place)} also acts "
                f"on y{index(moved.argmax())}: the path through a sum, a mean or a norm is missing")
