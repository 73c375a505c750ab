"""When which certificate is made, and that clients which trust the bundle accept it throughout."""

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dgdr_webhooks.core.certificates import Certificates, Terms, renewed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TERMS = Terms(names=("w.ns.svc", "10.0.0.7"))
DAY = timedelta(days=1)


def serving(one: Certificates) -> x509.Certificate:
    return x509.load_pem_x509_certificate(one.chain.encode())


def authorities(one: Certificates) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(one.authorities.encode())


def accepts(bundle: str, shown: Certificates, now: datetime) -> bool:
    """Whether a client that trusts a bundle accepts what is shown."""
    for authority in x509.load_pem_x509_certificates(bundle.encode()):
        try:
            serving(shown).verify_directly_issued_by(authority)
        except Exception:
            continue
        times = (authority, serving(shown))
        return all(one.not_valid_before_utc <= now < one.not_valid_after_utc for one in times)
    return False


def test_the_first_ones_are_for_the_names_of_the_service() -> None:
    made = renewed(None, TERMS, NOW)
    names = serving(made).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["w.ns.svc"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7"]
    assert accepts(made.authorities, made, NOW)
    assert made.ends() == NOW + 90 * DAY
    context = ssl.create_default_context(cadata=made.authorities)
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_good_ones_stay_as_they_are() -> None:
    made = renewed(None, TERMS, NOW)
    assert renewed(made, TERMS, NOW + 59 * DAY) is made


def test_one_is_renewed_long_before_its_end_by_the_same_authority() -> None:
    made = renewed(None, TERMS, NOW)
    later = NOW + 61 * DAY
    new = renewed(made, TERMS, later)
    assert new.authorities == made.authorities
    assert new.ends() == later + 90 * DAY
    assert accepts(made.authorities, new, later)


def test_one_that_has_ended_is_replaced_at_once() -> None:
    made = renewed(None, TERMS, NOW)
    late = NOW + 400 * DAY
    assert not accepts(made.authorities, made, late)
    assert accepts(made.authorities, renewed(made, TERMS, late), late)


@pytest.mark.parametrize("field", ["authorities", "authority_key", "chain", "key"])
def test_a_secret_that_somebody_spoilt_heals(field: str) -> None:
    made = renewed(None, TERMS, NOW)
    healed = renewed(replace(made, **{field: "nonsense"}), TERMS, NOW + DAY)
    assert accepts(healed.authorities, healed, NOW + DAY)
    assert renewed(healed, TERMS, NOW + DAY) is healed


def test_a_key_of_another_certificate_is_noticed() -> None:
    made, other = renewed(None, TERMS, NOW), renewed(None, TERMS, NOW)
    mixed = replace(made, key=other.key)
    assert renewed(mixed, TERMS, NOW).key != other.key


def nameless(made: Certificates) -> Certificates:
    """Return what somebody issued with the same authority for no name at all."""
    authority, key = authorities(made)[0], ec.generate_private_key(ec.SECP256R1())
    ca_key = serialization.load_pem_private_key(made.authority_key.encode(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(authority.subject)
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + 90 * DAY)
        .sign(ca_key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    private, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return replace(
        made,
        chain=certificate.public_bytes(form).decode(),
        key=key.private_bytes(form, private, plain).decode(),
    )


def test_a_certificate_for_no_name_is_replaced() -> None:
    made = renewed(None, TERMS, NOW)
    new = renewed(nameless(made), TERMS, NOW + DAY)
    assert new.authorities == made.authorities
    assert accepts(made.authorities, new, NOW + DAY)
    names = serving(new).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["w.ns.svc"]


def test_a_new_name_of_the_service_needs_a_new_one() -> None:
    made = renewed(None, TERMS, NOW)
    moved = replace(TERMS, names=("other.ns.svc",))
    assert renewed(made, moved, NOW).chain != made.chain


def test_all_are_new_once_the_authority_has_ended() -> None:
    made = renewed(None, TERMS, NOW)
    late = NOW + 2000 * DAY
    new = renewed(made, TERMS, late)
    assert len(authorities(new)) == 1
    assert accepts(new.authorities, new, late)


def test_whoever_learns_late_of_a_new_authority_is_served_throughout() -> None:
    """Every day for eleven years: a client that read the bundle a check ago accepts us."""
    terms = replace(TERMS, settled=2 * DAY)
    now, state = NOW, renewed(None, TERMS, NOW)
    seen, counts = state.authorities, set()
    for _ in range(4000):
        now += DAY
        state = renewed(state, terms, now)
        assert accepts(seen, state, now), now
        seen = state.authorities
        counts.add(len(authorities(state)))
    assert counts == {1, 2}
