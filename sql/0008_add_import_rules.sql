-- Rules by which documents of other systems are linked. Applied in schema prov.

INSERT INTO link_rule VALUES
    (20, 'openlineage-root', 'inferred', 'An OpenLineage run names its parent and the root run of both: the parent was part of the root'),
    (21, 'ro-crate-step', 'inferred', 'A Workflow Run RO-Crate has the step''s action in a ControlAction of the engine that ran the workflow: the step was part of it');
