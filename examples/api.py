"""Finora over HTTP, with nothing but Python: a statement in, its job, what is there then.

python examples/api.py http://127.0.0.1:4000 "$(finora token create example)" statement.ofx
"""

import json
import sys
import time
import uuid
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

BASE, TOKEN, STATEMENT = sys.argv[1].rstrip("/"), sys.argv[2], Path(sys.argv[3])


def ask(method: str, path: str, body: bytes | None = None, **headers: str) -> dict:
    """Ask, and give the reply's `data`. A write has a key: asked twice, it is done once."""
    headers |= {"Authorization": f"Bearer {TOKEN}"}
    if body is not None:
        headers |= {"Content-Type": "application/octet-stream", "Idempotency-Key": uuid.uuid4().hex}
    with urlopen(Request(f"{BASE}/api/v1{path}", body, headers, method=method)) as answer:
        return json.load(answer)["data"]


asked = ask("POST", f"/imports?name={quote(STATEMENT.name)}", STATEMENT.read_bytes())
while (job := ask("GET", f"/jobs/{asked['job_id']}"))["state"] in ("waiting", "running"):
    time.sleep(0.1)
result = ask("GET", f"/imports/{asked['import_id']}")["result"]
print(job["state"], {key: result[key] for key in ("read", "added", "existing", "claimed")})
for account in ask("GET", "/accounts"):
    for balance in ask("GET", f"/accounts/{account['id']}/balances"):
        print(account["name"], balance["amount"]["amount"], balance["amount"]["asset"])
