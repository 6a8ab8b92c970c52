"""An S3 server on a socket that checks presigned URLs, which localbucket alone does not.

python tests/files/bucket.py FOLDER    prints its port
"""

import sys
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from localbucket import S3Error, S3Handler

KEY, SECRET, REGION = "finora-test", "not-a-secret", "eu-central-1"
_STAMP = "%Y%m%dT%H%M%SZ"


class Strict(S3Handler):
    """Signed requests only: by their header, which is trusted, or by their query, which is not."""

    def _dispatch(self, action: object) -> None:
        refused = self._refused()
        if refused:
            self.query = {}
            self._send_error(S3Error(HTTPStatus.FORBIDDEN, refused, "refused"))
        else:
            super()._dispatch(action)

    def _refused(self) -> str | None:
        query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        if "X-Amz-Signature" not in query:
            return None if "Authorization" in self.headers else "AccessDenied"
        begun = datetime.strptime(query["X-Amz-Date"], _STAMP).replace(tzinfo=UTC)
        if datetime.now(UTC) > begun + timedelta(seconds=int(query["X-Amz-Expires"])):
            return "AccessDenied"
        return None if query["X-Amz-Signature"] == self._signature(query) else "BadSignature"

    def _signature(self, query: dict[str, str]) -> str:
        """What the signature would be over the request as it came."""
        signed = query["X-Amz-SignedHeaders"].split(";")
        address = f"http://{self.headers['Host']}{urlsplit(self.path).path}"
        unsigned = {name: value for name, value in query.items() if name != "X-Amz-Signature"}
        request = AWSRequest(self.command, address, params=unsigned)
        for name in signed:
            request.headers[name] = self.headers.get(name, "")
        request.context["timestamp"] = query["X-Amz-Date"]
        auth = S3SigV4QueryAuth(Credentials(KEY, SECRET), "s3", REGION)
        canonical = auth.canonical_request(request)
        return auth.signature(auth.string_to_sign(request, canonical), request)


if __name__ == "__main__":
    Strict.data_root = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Strict)
    print(server.server_port, flush=True)
    server.serve_forever()
