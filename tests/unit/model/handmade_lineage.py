"""Lineages in the shape of GET /v1/lineage, made by hand for the tests of what reads them."""

from typing import Any


class Lineage:
    """Collects runs; `json` is what the service would answer."""

    def __init__(self, focus: str) -> None:
        self.focus = focus
        self.activities: dict[str, dict[str, Any]] = {}
        self.entities: dict[str, dict[str, Any]] = {}
        self.used: list[dict[str, Any]] = []
        self.generated: list[dict[str, Any]] = []
        self.parts: list[dict[str, Any]] = []
        self.derived: list[dict[str, Any]] = []
        self.members: list[dict[str, Any]] = []

    def entity(self, name: str, **more: Any) -> str:
        default = {"id": name, "name": name, "kind": "dataset", "is_root": True}
        self.entities.setdefault(name, default).update(more)
        return name

    def run(
        self,
        uuid: str,
        name: str,
        inputs: dict[str, str | None] | None = None,
        outputs: dict[str, str | None] | None = None,
        **more: Any,
    ) -> None:
        basis = more.pop("basis", "stated")
        self.activities[uuid] = {
            "id": uuid, "name": name, "version": "1.0", "type": None, "status": "completed",
            "started_at": None, "ended_at": None, "is_claim": False,
        } | more  # fmt: skip
        for entity, role in (inputs or {}).items():
            self.entity(entity)
            self.used.append({"activity": uuid, "entity": entity, "role": role, "basis": "stated"})
        for entity, role in (outputs or {}).items():
            self.entity(entity, is_root=False, generated_at=more.get("ended_at"))
            self.generated.append(
                {"activity": uuid, "entity": entity, "role": role, "basis": basis}
            )

    def json(self, direction: str = "up") -> dict[str, Any]:
        kind = "activity" if self.focus in self.activities else "entity"
        return {
            "focus": {"kind": kind, "id": self.focus, "name": self.focus},
            "direction": direction,
            "activities": list(self.activities.values()),
            "entities": list(self.entities.values()),
            "used": self.used,
            "generated": self.generated,
            "derived": self.derived,
            "members": self.members,
            "parts": self.parts,
        }
