"""Certificates of the webhooks: an authority of our own, and what it has to issue when.

All state is one Secret: ``ca.crt`` (authorities, the newest first), ``ca.key`` (of the newest),
``tls.crt`` and ``tls.key``. A new authority is trusted before anything that it issued is shown:
until everybody has read it, the certificate of the older one serves on.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY = "dgdr-webhooks"
# Clocks of API servers may be behind ours.
BACKDATED = timedelta(minutes=5)
_RENEWED_AFTER = 2 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long certificates last, and how long everybody needs to learn of a new authority."""

    names: tuple[str, ...]
    serving: timedelta = timedelta(days=90)
    authority: timedelta = timedelta(days=1825)
    settled: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """The content of the Secret, as PEM."""

    authorities: str
    authority_key: str
    chain: str
    key: str

    def ends(self) -> datetime:
        """Return when the serving certificate ends."""
        return x509.load_pem_x509_certificate(self.chain.encode()).not_valid_after_utc


def renewed(old: Certificates | None, terms: Terms, now: datetime) -> Certificates:
    """Return what has to be there now: ``old`` itself where it is still good."""
    known = _Known.read(old, now) if old else None
    if old is None or known is None:
        return _all_new(terms, now)
    if _share(known.newest, now) > _RENEWED_AFTER:
        return _with_new_authority(old, known, terms, now)
    serving = _serving(old)
    if serving is None or not _is_good(serving, known.trusted, terms, now):
        return _issued(known.trusted, known.key, terms, now)
    is_settled = now - known.newest.not_valid_before_utc > terms.settled + BACKDATED
    is_old = _share(serving, now) > _RENEWED_AFTER or not _is_issued_by(serving, known.newest)
    if is_old and is_settled:
        return _issued(known.trusted, known.key, terms, now)
    return old


@dataclass(frozen=True, slots=True)
class _Known:
    trusted: tuple[x509.Certificate, ...]
    key: ec.EllipticCurvePrivateKey

    @property
    def newest(self) -> x509.Certificate:
        return self.trusted[0]

    @classmethod
    def read(cls, old: Certificates, now: datetime) -> "_Known | None":
        """Return the authorities that still count; None where none can issue anything."""
        try:
            found = x509.load_pem_x509_certificates(old.authorities.encode())
            key = serialization.load_pem_private_key(old.authority_key.encode(), None)
        except (ValueError, TypeError):
            return None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not found:
            return None
        if found[0].public_key() != key.public_key() or found[0].not_valid_after_utc <= now:
            return None
        return cls(tuple(one for one in found if one.not_valid_after_utc > now), key)


def _all_new(terms: Terms, now: datetime) -> Certificates:
    key = ec.generate_private_key(ec.SECP256R1())
    return _issued((_authority(key, terms, now),), key, terms, now)


def _with_new_authority(
    old: Certificates, known: _Known, terms: Terms, now: datetime
) -> Certificates:
    """Trust one more authority; what the older one issued serves until the new one is known."""
    key = ec.generate_private_key(ec.SECP256R1())
    trusted = (_authority(key, terms, now), *known.trusted)
    return Certificates(
        authorities=_pem(trusted), authority_key=_key_pem(key), chain=old.chain, key=old.key
    )


def _issued(
    trusted: Sequence[x509.Certificate],
    authority_key: ec.EllipticCurvePrivateKey,
    terms: Terms,
    now: datetime,
) -> Certificates:
    """Return the authorities with a new certificate of the newest one."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([_general(name) for name in terms.names])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    made = (
        _begun(terms.names[0][:64], now, now + terms.serving)
        .issuer_name(trusted[0].subject)
        .public_key(key.public_key())
        .add_extension(names, critical=False)
        .add_extension(usage, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return Certificates(
        authorities=_pem(trusted),
        authority_key=_key_pem(authority_key),
        chain=_pem([made]),
        key=_key_pem(key),
    )


def _authority(key: ec.EllipticCurvePrivateKey, terms: Terms, now: datetime) -> x509.Certificate:
    name = f"{AUTHORITY}-{now:%Y%m%d%H%M%S}"
    return (
        _begun(name, now, now + terms.authority)
        .issuer_name(_named(name))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )


def _begun(name: str, now: datetime, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(end)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _serving(old: Certificates) -> x509.Certificate | None:
    """Return the certificate that serves; None where it cannot, without its key say."""
    try:
        found = x509.load_pem_x509_certificate(old.chain.encode())
        key = serialization.load_pem_private_key(old.key.encode(), None)
    except (ValueError, TypeError):
        return None
    is_its_own = getattr(key, "public_key", lambda: None)() == found.public_key()
    return found if is_its_own else None


def _is_good(
    serving: x509.Certificate, trusted: Sequence[x509.Certificate], terms: Terms, now: datetime
) -> bool:
    return (
        serving.not_valid_after_utc > now
        and any(_is_issued_by(serving, one) for one in trusted)
        and _names(serving) >= {_general(name) for name in terms.names}
    )


def _names(serving: x509.Certificate) -> set[x509.GeneralName]:
    """Return whom a certificate is for; nobody where it does not say so."""
    try:
        found = serving.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except Exception:
        return set()
    return set(found.value)


def _is_issued_by(serving: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        serving.verify_directly_issued_by(authority)
    except Exception:
        return False
    return True


def _share(certificate: x509.Certificate, now: datetime) -> float:
    """Return how much of its life has passed; BACKDATED is none of it."""
    begun = certificate.not_valid_before_utc + BACKDATED
    return (now - begun) / (certificate.not_valid_after_utc - begun)


def _pem(certificates: Sequence[x509.Certificate]) -> str:
    form = serialization.Encoding.PEM
    return "".join(one.public_bytes(form).decode() for one in certificates)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
