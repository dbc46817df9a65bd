"""PROV-CONSTRAINTS taken literally: a slow validity check that shares no code with the product.

Every inference and constraint stands here as the formula of the Recommendation (30 April 2013,
§§5 and 6). The instance is a set of atoms; inferences add atoms with new variables until each
conclusion holds, uniqueness constraints unify, and the order of events is closed transitively.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import count, product

Term = str | int  # a constant, or an existential variable
Atom = tuple[object, ...]  # relation and terms
NONE = "-"


def _rules(text: str) -> list[tuple[list[Atom], list[Atom]]]:
    """Read ``a(x,y) b(y) => c(x)``; `!x` is: x is no placeholder, `x<y`, `x<=y`, `x=y` as is."""
    rules = []
    for line in text.strip().splitlines():
        left, right = line.split("=>")
        rules.append(([_atom(a) for a in left.split()], [_atom(a) for a in right.split()]))
    return rules


def _atom(text: str) -> Atom:
    for sign in ("<=", "<", "="):
        if sign in text:
            return (sign, *text.split(sign))
    if text.startswith("!"):
        return ("!", text[1:])
    name, _, rest = text.rstrip(")").partition("(")
    return (name, *rest.split(","))


INFERENCES = _rules("""
inf(i,a2,a1) => gen(g,e,a1,t1) use(u,a2,e,t2)
gen(g,e,a1,t1) use(u,a2,e,t2) => inf(i,a2,a1)
entity(e) => gen(g,e,a1,t1)
entity(e) => inv(i,e,a2,t2)
activity(a,t1,t2) => start(s,a,e1,a1,t1)
activity(a,t1,t2) => end(s,a,e1,a1,t2)
start(i,a,e1,a1,t) => gen(g,e1,a1,t1)
end(i,a,e1,a1,t) => gen(g,e1,a1,t1)
der(i,e2,e1,a,g,u) !a !g !u => use(u,a,e1,t1)
der(i,e2,e1,a,g,u) !a !g !u => gen(g,e2,a,t2)
att(i,e,ag) => gen(g,e,a,t) assoc(s,a,ag,p)
del(i,ag1,ag2,a) => assoc(i1,a,ag1,p1)
del(i,ag1,ag2,a) => assoc(i2,a,ag2,p2)
gen(i,e,a,t) => infl(i,e,a)
use(i,a,e,t) => infl(i,a,e)
inf(i,a2,a1) => infl(i,a2,a1)
start(i,a2,e,a1,t) => infl(i,a2,e)
end(i,a2,e,a1,t) => infl(i,a2,e)
inv(i,e,a,t) => infl(i,e,a)
der(i,e2,e1,a,g,u) => infl(i,e2,e1)
att(i,e,ag) => infl(i,e,ag)
assoc(i,a,ag,p) => infl(i,a,ag)
del(i,ag2,ag1,a) => infl(i,ag2,ag1)
entity(e) => alt(e,e)
alt(e1,e2) alt(e2,e3) => alt(e1,e3)
alt(e1,e2) => alt(e2,e1)
spec(e1,e2) spec(e2,e3) => spec(e1,e3)
spec(e1,e2) => alt(e1,e2)
entity(e1) spec(e2,e1) => entity(e2)
empty(e1) spec(e2,e1) => empty(e2)
""")
UNIQUE = _rules("""
activity(i,s,t) activity(i,v,w) => s=v t=w
gen(i,e,a,t) gen(i,f,b,u) => e=f a=b t=u
use(i,e,a,t) use(i,f,b,u) => e=f a=b t=u
inv(i,e,a,t) inv(i,f,b,u) => e=f a=b t=u
inf(i,e,a) inf(i,f,b) => e=f a=b
att(i,e,a) att(i,f,b) => e=f a=b
infl(i,e,a) infl(i,f,b) => e=f a=b
assoc(i,e,a,p) assoc(i,f,b,q) => e=f a=b p=q
del(i,e,a,p) del(i,f,b,q) => e=f a=b p=q
start(i,a,e,c,t) start(i,b,f,d,u) => a=b e=f c=d t=u
end(i,a,e,c,t) end(i,b,f,d,u) => a=b e=f c=d t=u
der(i,e,f,a,g,u) der(i,k,l,b,h,v) => e=k f=l a=b g=h u=v
gen(g,e,a,t) gen(h,e,a,u) => g=h
inv(g,e,a,t) inv(h,e,a,u) => g=h
start(g,a,e,c,t) start(h,a,f,c,u) => g=h
end(g,a,e,c,t) end(h,a,f,c,u) => g=h
activity(a,t,v) start(i,a,e,c,u) => t=u
activity(a,v,t) end(i,a,e,c,u) => t=u
""")
ORDER = _rules("""
start(s,a,e,c,t) end(x,a,f,d,u) => s<=x
start(s,a,e,c,t) start(x,a,f,d,u) => s<=x
end(s,a,e,c,t) end(x,a,f,d,u) => s<=x
start(s,a,e,c,t) use(x,a,f,u) => s<=x
use(x,a,f,u) end(s,a,e,c,t) => x<=s
start(s,a,e,c,t) gen(x,f,a,u) => s<=x
gen(x,f,a,u) end(s,a,e,c,t) => x<=s
inf(i,b,a) start(s,a,e,c,t) end(x,b,f,d,u) => s<=x
gen(g,e,a,t) inv(i,e,b,u) => g<=i
gen(g,e,a,t) use(x,b,e,u) => g<=x
use(x,b,e,u) inv(i,e,a,t) => x<=i
gen(g,e,a,t) gen(h,e,b,u) => g<=h
inv(g,e,a,t) inv(h,e,b,u) => g<=h
der(i,f,e,a,g,u) !a !g !u => u<=g
der(i,f,e,a,g,u) gen(x,e,b,t) gen(y,f,c,v) => x<y
gen(g,e,a,t) start(s,b,e,c,u) => g<=s
start(s,b,e,c,u) inv(i,e,a,t) => s<=i
gen(g,e,a,t) end(s,b,e,c,u) => g<=s
end(s,b,e,c,u) inv(i,e,a,t) => s<=i
spec(f,e) gen(g,e,a,t) gen(h,f,b,u) => g<=h
spec(e,f) inv(g,e,a,t) inv(h,f,b,u) => g<=h
assoc(i,a,x,p) start(s,a,e,c,t) inv(v,x,b,u) => s<=v
assoc(i,a,x,p) gen(g,x,b,u) end(s,a,e,c,t) => g<=s
assoc(i,a,x,p) start(s,a,e,c,t) end(v,x,f,b,u) => s<=v
assoc(i,a,x,p) start(s,x,e,c,t) end(v,a,f,b,u) => s<=v
att(i,e,x) gen(g,x,a,t) gen(h,e,b,u) => g<=h
att(i,e,x) start(g,x,f,a,t) gen(h,e,b,u) => g<=h
del(i,y,x,a) gen(g,x,b,t) inv(v,y,c,u) => g<=v
del(i,y,x,a) start(g,x,e,b,t) end(v,y,f,c,u) => g<=v
""")
TYPES = _rules("""
entity(x) => E(x)
activity(x,t,u) => A(x)
use(i,a,e,t) => A(a) E(e)
gen(i,e,a,t) => A(a) E(e)
inf(i,a,b) => A(a) A(b)
start(i,a,e,b,t) => A(a) E(e) A(b)
end(i,a,e,b,t) => A(a) E(e) A(b)
inv(i,e,a,t) => A(a) E(e)
der(i,e,f,a,g,u) => E(e) E(f)
der(i,e,f,a,g,u) !a => A(a)
att(i,e,x) => E(e)
assoc(i,a,x,p) => A(a)
assoc(i,a,x,p) !p => E(p)
del(i,x,y,a) => A(a)
alt(e,f) => E(e) E(f)
spec(e,f) => E(e) E(f)
mem(c,e) => E(c) E(e)
""")
_BASIC = ("use", "gen", "inv", "start", "end", "inf", "att", "assoc", "del")
_IDENTIFIED = (*_BASIC, "der", "infl")


class _InvalidError(Exception):
    pass


class _Instance:
    def __init__(self, atoms: Iterable[Atom]) -> None:
        self.atoms = set(atoms)
        self._fresh = count(10**6)

    def matches(self, hypotheses: list[Atom], bound: dict[object, object]) -> Iterator[dict]:
        if not hypotheses:
            yield bound
            return
        (name, *variables), *rest = hypotheses
        if name == "!":
            if bound[variables[0]] != NONE:
                yield from self.matches(rest, bound)
            return
        for atom in [a for a in self.atoms if a[0] == name]:
            now = dict(bound)
            if all(now.setdefault(v, t) == t for v, t in zip(variables, atom[1:], strict=True)):
                yield from self.matches(rest, now)

    def chase(self) -> None:
        while self._unify_once() or self._infer_once():
            pass

    def _infer_once(self) -> bool:
        for hypotheses, conclusions in INFERENCES:
            for bound in list(self.matches(hypotheses, {})):
                if next(self.matches(conclusions, bound), None) is None:
                    new = dict(bound)
                    for _, *variables in conclusions:
                        for variable in variables:
                            if variable not in new:
                                new[variable] = next(self._fresh)
                    self.atoms |= {(c[0], *(new[v] for v in c[1:])) for c in conclusions}
                    return True
        return False

    def _unify_once(self) -> bool:
        for hypotheses, equations in UNIQUE:
            for bound in self.matches(hypotheses, {}):
                for _, one, other in equations:
                    a, b = bound[one], bound[other]
                    if a != b:
                        self._substitute(a, b)
                        return True
        return False

    def _substitute(self, a: object, b: object) -> None:
        if isinstance(a, str) and isinstance(b, str):
            raise _InvalidError
        gone, kept = (b, a) if isinstance(b, int) else (a, b)
        self.atoms = {tuple(kept if t == gone else t for t in atom) for atom in self.atoms}


def is_valid(statements: Iterable[Atom]) -> bool:
    """Whether the instance of `statements` (relation, terms) is valid."""
    instance = _Instance(statements)
    try:
        instance.chase()
    except _InvalidError:
        return False
    checks: tuple[Callable[[_Instance], bool], ...] = (_is_ordered, _is_typed, _is_possible)
    return all(check(instance) for check in checks)


def _is_ordered(instance: _Instance) -> bool:
    before: dict[tuple[object, object], bool] = {}
    for hypotheses, conclusions in ORDER:
        for bound in instance.matches(hypotheses, {}):
            for sign, one, other in conclusions:
                pair = (bound[one], bound[other])
                before[pair] = before.get(pair, False) or sign == "<"
    events = {event for pair in before for event in pair}
    for through, one, other in product(events, events, events):
        if (one, through) in before and (through, other) in before:
            strict = before[one, through] or before[through, other]
            before[one, other] = before.get((one, other), False) or strict
    return not any(before.get((event, event), False) for event in events)


def _is_typed(instance: _Instance) -> bool:
    types: set[tuple[object, object]] = set()
    for hypotheses, conclusions in TYPES:
        for bound in instance.matches(hypotheses, {}):
            types |= {(kind, bound[variable]) for kind, variable in conclusions}
    return not any(("A", term) in types for kind, term in types if kind == "E")


def _is_possible(instance: _Instance) -> bool:
    ids = {name: {a[1] for a in instance.atoms if a[0] == name} for name in _IDENTIFIED}
    objects = {a[1] for a in instance.atoms if a[0] in ("entity", "activity", "agent")}
    pairs = [(a, b) for a in _BASIC for b in _BASIC if a < b]
    return not (
        any(a[0] == "der" and a[4] == NONE and (a[5] != NONE or a[6] != NONE)
            for a in instance.atoms)
        or any(a[0] == "spec" and a[1] == a[2] for a in instance.atoms)
        or any(ids[a] & ids[b] for a, b in pairs)
        or any(ids[name] & objects for name in _IDENTIFIED)
        or any(a[0] == "mem" and ("empty", a[1]) in instance.atoms for a in instance.atoms)
    )  # fmt: skip
