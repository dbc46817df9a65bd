"""An authority of the lab's own, and certificates of the host and of a user."""

import datetime
import socket
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

DAYS = 30


def make_certificates(folder: Path) -> None:
    """Write ``ca.pem``, and ``host`` and ``user`` with their keys; the authority's is not kept."""
    folder.mkdir(parents=True, exist_ok=True)
    authority, key = _name("lab authority"), _key()
    (folder / "ca.pem").write_bytes(_sign(authority, key, authority, key, is_authority=True))
    for name, common in (("host", "localhost"), ("user", "lab user")):
        own = _key()
        (folder / f"{name}cert.pem").write_bytes(_sign(_name(common), own, authority, key))
        place = folder / f"{name}key.pem"
        place.write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        place.chmod(0o400)


def dn(common: str) -> str:
    """Return a subject as DIRAC's registry writes it."""
    return f"/O=DIRAC lab/CN={common}"


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "DIRAC lab"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _sign(
    subject: x509.Name, key: rsa.RSAPrivateKey, issuer: x509.Name, signer: rsa.RSAPrivateKey,
    *, is_authority: bool = False,
) -> bytes:  # fmt: skip
    now = datetime.datetime.now(datetime.UTC)
    # the configuration service calls itself by the name of the machine
    names = [x509.DNSName(name) for name in {"localhost", socket.gethostname(), socket.getfqdn()}]
    use = x509.KeyUsage(
        digital_signature=not is_authority, key_encipherment=not is_authority,
        key_cert_sign=is_authority, crl_sign=is_authority, content_commitment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(use, critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)
