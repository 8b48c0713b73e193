"""This host's certificate, with which it speaks to the job servers: whose it is, and for how long."""

from __future__ import annotations

import os
import time

from edgetally.health.status import CertificateStatus


def own_certificate(tls: str) -> tuple[CertificateStatus | None, list[str]]:
    """The certificate of a folder, and what is wrong with it, a sentence each. None and nothing where all is plain."""
    if not tls:
        return None, []
    from edgetally.wire.tls import ends_soon, read_certificate

    path = os.path.join(tls, "certificate.pem")
    try:
        own = read_certificate(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds none"
        return None, [f"this host's certificate {path} cannot be read ({why}): roll the host out again"]
    problem = ends_soon("this host", own.ends, time.time())
    return {"name": own.name, "ends": float(own.ends)}, [problem] if problem else []
