"""The lab's configuration: what DIRAC's configuration service has, and what a machine has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .certificates import dn

VO = "lab"
ELEMENTS = {
    "LAB-1-DISK": "StorageElement",
    "LAB-2-DISK": "StorageElement2",
    "LAB-FULL-DISK": "StorageElement3",
}
"""Storage elements, and the services behind them; the last has no room left."""

SERVICES = (
    "Configuration/Server",
    "ResourceStatus/ResourceStatus",
    "Accounting/DataStore",
    "DataManagement/FileCatalog",
    *(f"DataManagement/{service}" for service in ELEMENTS.values()),
)
DATABASES = {"FileCatalogDB": "DataManagement", "AccountingDB": "Accounting",
             "ResourceStatusDB": "ResourceStatus"}  # fmt: skip

AUTHENTICATED = {"Default": "authenticated", "FileTransfer": {"Default": "authenticated"}}
CATALOGS = {
    "FileCatalog": {
        "CatalogType": "FileCatalog", "AccessType": "Read-Write", "Status": "Active",
        "Master": True,
    }
}  # fmt: skip


def central(ports: Mapping[str, int], database: Mapping[str, Any], folder: Path) -> str:
    """Return what the configuration service has, for all machines."""
    data_management = {
        service: {
            "HandlerPath": "DIRAC/DataManagementSystem/Service/StorageElementHandler.py",
            "Port": ports[f"DataManagement/{service}"],
            "BasePath": folder / "elements" / name,
            "MaxStorageSize": int(name == "LAB-FULL-DISK"),  # in MB, of all that is on the disk
            "Authorization": AUTHENTICATED,
        }
        for name, service in ELEMENTS.items()
    }
    data_management["FileCatalog"] = {
        "Port": ports["DataManagement/FileCatalog"], "Authorization": AUTHENTICATED,
    }  # fmt: skip
    accounting = {
        "Port": ports["Accounting/DataStore"], "RunBucketing": "no",
        "Authorization": AUTHENTICATED,
    }  # fmt: skip
    status = {
        "Port": ports["ResourceStatus/ResourceStatus"], "Authorization": AUTHENTICATED,
    }  # fmt: skip
    return _cfg({
        "DIRAC": {"Configuration": {"Name": "Lab"}},
        "DiracX": {"DisabledVOs": VO},
        "Registry": {
            "DefaultGroup": f"{VO}_user",
            "Users": {"tester": {"DN": dn("lab user")}},
            "Groups": {f"{VO}_user": {"Users": "tester", "VO": VO, "Properties": "NormalUser"}},
            "Hosts": {"localhost": {"DN": dn("localhost"), "Properties": "TrustedHost"}},
        },
        "Systems": {
            "Databases": database,
            "Accounting": {
                "URLs": _urls(ports, "Accounting"),
                "Services": {"DataStore": accounting},
                "Databases": {"AccountingDB": {"DBName": "AccountingDB"}},
            },
            "ResourceStatus": {
                "URLs": _urls(ports, "ResourceStatus"),
                "Services": {"ResourceStatus": status},
                "Databases": {"ResourceStatusDB": {"DBName": "ResourceStatusDB"}},
            },
            "DataManagement": {
                "URLs": _urls(ports, "DataManagement"),
                "Services": data_management,
                "Databases": {"FileCatalogDB": {"DBName": "FileCatalogDB"}},
            },
        },
        "Resources": {
            "FileCatalogs": CATALOGS,
            "StorageElements": {name: _element(ports, s) for name, s in ELEMENTS.items()},
        },
        "Operations": {"Defaults": {
            "Services": {"Catalogs": CATALOGS},
            "ResourceStatus": {"Config": {"State": "InActive"}},
            "DataManagement": {
                f"{use}Protocols": "dips" for use in ("Access", "Write", "Registration")
            },
        }},
    })  # fmt: skip


def local(ports: Mapping[str, int], folder: Path, *, is_server: bool) -> str:
    """Return the ``dirac.cfg`` of a machine: of the servers, or of users."""
    configuration: dict[str, Any] = {"Servers": _url(ports, "Configuration/Server")}
    security: dict[str, Any] = {"CALocation": folder / "authorities"}
    told: dict[str, Any] = {
        "DIRAC": {
            "VirtualOrganization": VO, "Configuration": configuration, "Security": security,
        },
        "LocalSite": {"Site": "DIRAC.Lab.local"},
    }  # fmt: skip
    if is_server:
        configuration |= {"Master": "yes", "Name": "Lab"}
        security |= {
            "UseServerCertificate": "yes",
            "CertFile": folder / "certificates" / "hostcert.pem",
            "KeyFile": folder / "certificates" / "hostkey.pem",
        }
        server = {
            "HandlerPath": "DIRAC/ConfigurationSystem/Service/ConfigurationHandler.py",
            "Port": ports["Configuration/Server"],
            "Authorization": {"Default": "authenticated", "getCompressedDataIfNewer": "any"},
        }
        told["Systems"] = {
            "Configuration": {
                "URLs": _urls(ports, "Configuration"), "Services": {"Server": server},
            }
        }  # fmt: skip
    return _cfg(told)


def _element(ports: Mapping[str, int], service: str) -> dict[str, Any]:
    protocol = {
        "Host": "localhost", "Port": ports[f"DataManagement/{service}"], "PluginName": "DIP",
        "Protocol": "dips", "Path": f"/DataManagement/{service}", "Access": "remote",
    }  # fmt: skip
    active = {f"{use}Access": "Active" for use in ("Read", "Write", "Check", "Remove")}
    return {"BackendType": "DISET", **active, "DIP.1": protocol}


def _urls(ports: Mapping[str, int], system: str) -> dict[str, str]:
    return {
        service.partition("/")[2]: _url(ports, service)
        for service in ports
        if service.startswith(f"{system}/")
    }


def _url(ports: Mapping[str, int], service: str) -> str:
    return f"dips://localhost:{ports[service]}/{service}"


def _cfg(told: Mapping[str, Any], indent: str = "") -> str:
    """Return a section of DIRAC's own format: one line an option, braces on lines of their own."""
    lines = []
    for name, value in told.items():
        if isinstance(value, Mapping):
            inner = _cfg(value, indent + "  ")
            lines.append(f"{indent}{name}\n{indent}{{\n{inner}{indent}}}\n")
        else:
            lines.append(f"{indent}{name} = {value}\n")
    return "".join(lines)
