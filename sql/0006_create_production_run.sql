-- Productions. What has been done with which input stands in the record: a run of a step is an activity
-- that is part of the step and used its inputs from the moment at which they were claimed. Here stands
-- what is no provenance: who is about to submit a claimed run, and who looks after it. Applied in schema
-- prov.

CREATE TABLE production_run (
    run_uuid     uuid PRIMARY KEY,
    step_uuid    uuid NOT NULL,
    engine       text NOT NULL,
    group_key    text,
    place        text NOT NULL,
    holder       text NOT NULL,
    held_until   timestamptz NOT NULL,
    claimed_at   timestamptz NOT NULL DEFAULT now(),
    submitted_at timestamptz,
    settled_at   timestamptz
);
CREATE INDEX production_run_open ON production_run (step_uuid) WHERE settled_at IS NULL;
COMMENT ON TABLE production_run IS 'Runs of productions, from their claim on: who submits and looks after them';
COMMENT ON COLUMN production_run.run_uuid IS 'The activity of the run';
COMMENT ON COLUMN production_run.step_uuid IS 'The activity of the step of the production';
COMMENT ON COLUMN production_run.engine IS 'Where it runs: local or diracx';
COMMENT ON COLUMN production_run.group_key IS 'What the inputs of its group have in common, if they are grouped by something';
COMMENT ON COLUMN production_run.place IS 'Machine and state directory in which its files lie';
COMMENT ON COLUMN production_run.holder IS 'The submitter that looks after it';
COMMENT ON COLUMN production_run.held_until IS 'When another may take its place (UTC)';
COMMENT ON COLUMN production_run.claimed_at IS 'When it was claimed (UTC)';
COMMENT ON COLUMN production_run.submitted_at IS 'When it was given to the engine (UTC); null: nobody knows that it was';
COMMENT ON COLUMN production_run.settled_at IS 'When the engine had ended and what it made was at home (UTC)';

-- Productions are listed by themselves, and their definitions found among their parts.
CREATE INDEX activity_production ON activity (started_at DESC, activity_uuid) WHERE type = 'Production';
