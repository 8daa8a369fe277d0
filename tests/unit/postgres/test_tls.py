"""Which certificate authority must vouch for which Postgres."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
import pytest
from cryptography import x509

from clerksync.postgres import tls
from clerksync.postgres.tls import tls_parameters

RDS_FILE = Path(tls.__file__).with_name("rds-ca.pem")
RDS = {"sslmode": "verify-full", "sslrootcert": str(RDS_FILE)}
PUBLIC = {"sslmode": "verify-full", "sslrootcert": certifi.where()}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)


@pytest.mark.parametrize(
    ("host", "added"),
    [
        ("ep-cool-1.eu-central-1.aws.neon.tech", PUBLIC),
        ("db.example.com,standby.example.com", PUBLIC),
        ("10.0.0.7", PUBLIC),
        ("localhost.example.com", PUBLIC),
        ("app.abc.eu-west-1.rds.amazonaws.com", RDS),
        ("app.abc.rds.cn-north-1.amazonaws.com.cn", PUBLIC),
        ("app.cluster-abc.eu-west-1.rds.amazonaws.com", RDS),
        ("app.proxy-abc.eu-west-1.rds.amazonaws.com", PUBLIC),
        ("rds.amazonaws.com.example.org", PUBLIC),
        ("localhost,db.example.com", PUBLIC),
        ("", {}),
        ("localhost", {}),
        ("127.0.0.1", {}),
        ("::1", {}),
        ("/var/run/postgresql", {}),
        ("@abstract", {}),
    ],
)
def test_a_server_elsewhere_is_verified(host: str, added: dict[str, str]) -> None:
    """RDS by Amazon's own authorities, others by public ones, sockets by none."""
    assert tls_parameters({"host": host}) == added


@pytest.mark.parametrize("mode", ["disable", "prefer", "require"])
def test_what_the_url_asks_for_is_not_changed(mode: str) -> None:
    """Who says so trusts the network."""
    assert tls_parameters({"host": "db.example.com", "sslmode": mode}) == {}


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
@pytest.mark.parametrize("root", [{}, {"sslrootcert": "system"}])
def test_a_url_that_verifies_is_given_the_authorities(
    mode: str, root: dict[str, str]
) -> None:
    """libpq would look for a file in the home directory, which Lambda has not."""
    given = {"host": "db.example.com", "sslmode": mode, **root}
    assert tls_parameters(given) == {"sslrootcert": certifi.where()}


def test_authorities_of_ones_own_stay() -> None:
    """A private authority is named in the URL."""
    given = {"host": "db.example.com", "sslrootcert": "/opt/ca.pem"}
    assert tls_parameters(given) == {"sslmode": "verify-full"}


def test_the_environment_of_libpq_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does for every other program."""
    monkeypatch.setenv("PGSSLMODE", "require")
    assert tls_parameters({"host": "db.example.com"}) == {}


def test_the_authorities_of_rds_are_current() -> None:
    """One for each region and kind of key, each valid for years and its own issuer."""
    roots = x509.load_pem_x509_certificates(RDS_FILE.read_bytes())
    assert len(roots) > 60
    for root in roots:
        assert "Amazon RDS" in root.subject.rfc4514_string()
        root.verify_directly_issued_by(root)
        assert root.not_valid_after_utc > datetime.now(UTC) + timedelta(days=365)
