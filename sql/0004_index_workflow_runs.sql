-- Runs of workflows are listed by themselves: of a million activities they are a few thousand.

CREATE INDEX activity_workflow ON activity (started_at DESC, activity_uuid) WHERE type = 'Workflow';
