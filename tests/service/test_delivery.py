"""The records of a run go to the server as they come, and none is lost on the way."""

import json
import time
import uuid

from jobs.engines.local.delivery import Delivery


def test_a_token_that_was_renewed_in_its_file_is_used(
    client, app_url, make_token, tmp_path, monkeypatch
):
    token_file = tmp_path / "token.json"
    token_file.write_text(json.dumps({"access_token": "no-longer-valid"}))
    token_file.chmod(0o600)
    for name, value in {
        "PROV_STATE_DIR": str(tmp_path / "state"),
        "PROV_SERVER_URL": app_url,
        "PROV_TOKEN_FILE": str(token_file),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PROV_TOKEN", raising=False)
    record = tmp_path / "provenance.jsonl"
    activities = [str(uuid.uuid4()) for _ in range(2)]
    lines = [
        json.dumps({"schema": "provmanager/activity.v1", "id": one, "name": "step"}) + "\n"
        for one in activities
    ]
    delivery = Delivery(record)
    delivery.start()
    record.write_text(lines[0])
    delivery.wake()
    deadline = time.monotonic() + 60
    while not delivery.n_spooled:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "token" in (delivery.problem or "")
    token_file.write_text(json.dumps({"access_token": make_token("recorder")}))
    with record.open("a") as stream:
        stream.write(lines[1])
    delivery.close()
    assert (delivery.n_spooled, delivery.problem) == (0, None)
    assert [client.activity(one)["name"] for one in activities] == ["step", "step"]
