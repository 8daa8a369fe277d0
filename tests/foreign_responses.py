"""Responses that stand in Clerk's place and are not Clerk's."""

from typing import Final

from local.stub_clerk.faults import Fault

_HTML: Final = {"Content-Type": "text/html"}
_JSON: Final = {"Content-Type": "application/json"}
_PAGE: Final = "<html><head><title>{0}</title></head><body>{0}</body></html>"

NOT_FOUND: Final = {
    "nginx": Fault(status=404, body=_PAGE.format("404 Not Found"), headers=_HTML),
    "gateway": Fault(
        status=404,
        body='{"message": "no Route matched with those values"}',
        headers=_JSON,
    ),
    "empty": Fault(status=404, body="", headers=_HTML),
    "other JSON": Fault(status=404, body='{"errors": "none"}', headers=_JSON),
    "a list": Fault(status=404, body="[]", headers=_JSON),
    "another code": Fault(status=404, code="organization_not_found"),
}
"""A 404 that says nothing about a user."""

OTHERS: Final = {
    "firewall": Fault(status=403, body=_PAGE.format("Access denied"), headers=_HTML),
    "login page": Fault(status=401, body=_PAGE.format("Log in"), headers=_HTML),
    "bad gateway": Fault(status=502, body=_PAGE.format("Bad gateway"), headers=_HTML),
    "moved": Fault(
        status=301, body="", headers={"Location": "https://elsewhere.invalid/v1"}
    ),
    "moved for good": Fault(
        status=308, body="", headers={"Location": "https://elsewhere.invalid/v1"}
    ),
    "no content": Fault(status=204, body=""),
}
FOREIGN: Final = NOT_FOUND | OTHERS
