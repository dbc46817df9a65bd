"""Set-up, start and stop of the lab."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .certificates import make_certificates
from .configuration import DATABASES, ELEMENTS, SERVICES, VO, central, local

VERSION = "9.1.*"
NEEDED = "the lab needs uv, and mariadb-server libmariadb-dev gcc pkg-config openssl of Debian"
DEADLINE_S, STOP_S = 120, 20


_SET_STATUS = """
import sys
import DIRAC
DIRAC.initialize()
from DIRAC.ResourceStatusSystem.Client.ResourceStatusClient import ResourceStatusClient
for element in sys.argv[2:]:
    for use in ("Read", "Write", "Check", "Remove"):
        answer = ResourceStatusClient().addOrModifyStatusElement(
            "Resource", "Status", name=element, statusType=use + "Access", status=sys.argv[1],
            elementType="StorageElement", reason="lab", tokenOwner="rs_svc")
        if not answer["OK"]:
            sys.exit(answer["Message"])
"""

_SHORT_PROXY = """
import sys, time
from DIRAC.Core.Security.X509Chain import X509Chain
chain = X509Chain()
chain.loadChainFromFile(sys.argv[1])
chain.loadKeyFromFile(sys.argv[2])
answer = chain.generateProxyToFile(sys.argv[3], 1, diracGroup=sys.argv[4])
if not answer["OK"]:
    sys.exit(answer["Message"])
while chain.loadProxyFromFile(sys.argv[3])["OK"] and chain.getRemainingSecs()["Value"] > 0:
    time.sleep(0.1)
"""


class Lab:
    """A folder with everything of the lab in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.bin = self.folder / "venv" / "bin"
        self.proxy = self.folder / "client" / "proxy.pem"
        self.environment = self.folder / "client" / "diracrc"
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def up(self) -> None:
        """Install what is not installed yet, and start what does not run."""
        self.install()
        self.configure()
        self.start_database()
        self.start(*SERVICES[:1])  # the others ask it for their configuration
        self.start(*SERVICES[1:])
        self.make_proxy(self.proxy)
        self.set_status("Active", *ELEMENTS)
        self.run("dirac-dms-filecatalog-cli", input="meta index -f sha256 string\nexit\n")

    def down(self) -> None:
        """End all processes of the lab."""
        for service in reversed(SERVICES):
            self.stop(service)
        self.stop("mariadb")

    def install(self) -> None:
        """Make DIRAC's virtual environment.

        gfal2-python is left out: PyPI has it as source only, which needs the libraries of gfal2;
        storage elements of DIRAC's own protocol do not use it.
        """
        if (self.bin / "dirac-service").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        without = self.folder / "without"
        without.write_text("gfal2-python ; sys_platform == 'never'\n")
        _run("uv", "venv", "-q", "--seed", self.folder / "venv")
        python = ("-q", "--python", self.bin / "python")
        _run("uv", "pip", "install", *python, "swig")  # M2Crypto is compiled with it
        path = {"PATH": f"{self.bin}:{os.environ['PATH']}"}
        dirac = f"DIRAC[server]=={VERSION}"
        _run("uv", "pip", "install", *python, "--override", without, dirac, env=path)

    def configure(self) -> None:
        """Write certificates and configuration, once."""
        if self.environment.exists():
            return
        make_certificates(self.folder / "certificates")
        authorities = self.folder / "authorities"
        authorities.mkdir(exist_ok=True)
        shutil.copy(self.folder / "certificates" / "ca.pem", authorities)
        _run("openssl", "rehash", authorities)
        free = _free_ports(len(SERVICES) + 1)
        ports = dict(zip((*SERVICES, "mariadb"), free, strict=True))
        password = secrets.token_hex(8)
        (self.folder / "lab.json").write_text(json.dumps({"ports": ports, "password": password}))
        database = {
            "Host": "127.0.0.1", "Port": ports.pop("mariadb"), "User": "Dirac",
            "Password": password,
        }  # fmt: skip
        for element in ELEMENTS:
            (self.folder / "elements" / element).mkdir(parents=True)
        for machine in ("server", "client"):
            etc = self.folder / machine / "etc"
            etc.mkdir(parents=True)
            text = local(ports, self.folder, is_server=machine == "server")
            (etc / "dirac.cfg").write_text(text)
        (self.folder / "server/etc/Lab.cfg").write_text(central(ports, database, self.folder))
        self.environment.write_text(
            f'export PATH="{self.bin}:$PATH" DIRAC_ROOT_PATH="{self.folder}/client" '
            f'X509_CERT_DIR="{self.folder}/authorities" '
            f'X509_USER_PROXY="${{X509_USER_PROXY:-{self.proxy}}}"\n'
        )

    def start_database(self) -> None:
        """Start MariaDB, with a user and the tables of the catalogue on its first start."""
        told = json.loads((self.folder / "lab.json").read_text())
        data, sockets = self.folder / "mariadb", self.folder / "mariadb.sock"
        is_new = not data.exists()
        if is_new:
            _run(
                "mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db",
                "--auth-root-authentication-method=normal",
            )  # fmt: skip
        user = ["--user=root"] if os.getuid() == 0 else []
        port = told["ports"]["mariadb"]
        self._spawn(
            "mariadb", _sbin("mariadbd"), "--no-defaults", *user, f"--datadir={data}",
            f"--socket={sockets}", f"--port={port}", "--bind-address=127.0.0.1",
            f"--pid-file={self.folder}/mariadb.own.pid",
        )  # fmt: skip
        self._wait("mariadb")
        if not is_new:
            return
        made = [f"CREATE USER Dirac@'%' IDENTIFIED BY '{told['password']}';"]
        for name, system in DATABASES.items():
            made.append(f"CREATE DATABASE {name}; GRANT ALL ON {name}.* TO Dirac@'%';")
            tables = self._sources() / f"{system}System" / "DB" / f"{name}.sql"
            if tables.exists():
                made.append(f"USE {name};\n{tables.read_text()}")
        client = ("mariadb", "--no-defaults", f"--socket={sockets}", "-uroot")
        _run(*client, input="\n".join(made))

    def start(self, *services: str) -> None:
        """Start services of DIRAC's at once, and wait until they listen."""
        server = {"DIRAC_ROOT_PATH": str(self.folder / "server")}
        for service in services:
            self._spawn(service, self.bin / "dirac-service", service, **server)
        for service in services:
            self._wait(service)

    def stop(self, name: str) -> None:
        """End a process that the lab started, if it runs."""
        place = self._place(name, "pid")
        if not place.exists():
            return
        pid = int(place.read_text())
        place.unlink()
        if not _runs(pid):
            return
        os.killpg(pid, signal.SIGTERM)
        end = time.monotonic() + STOP_S
        while _runs(pid) and time.monotonic() < end:
            time.sleep(0.1)
        if _runs(pid):
            os.killpg(pid, signal.SIGKILL)
        if pid in self._children:
            self._children.pop(pid).wait()

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a process of the lab."""
        os.killpg(int(self._place(name, "pid").read_text()), number)

    def make_proxy(self, place: Path) -> None:
        """Make a proxy of the lab's user with DIRAC's own command."""
        certificates = self.folder / "certificates"
        self.run(
            "dirac-proxy-init", "-g", f"{VO}_user", "--no-upload",
            "--out", place,
            "-C", certificates / "usercert.pem", "-K", certificates / "userkey.pem",
        )  # fmt: skip

    def make_expired_proxy(self, place: Path) -> None:
        """Make a proxy that was good for one second."""
        certificates = self.folder / "certificates"
        self.run(
            "python", "-c", _SHORT_PROXY, certificates / "usercert.pem",
            certificates / "userkey.pem", place, f"{VO}_user",
        )  # fmt: skip

    def set_status(self, status: str, *elements: str) -> None:
        """Have DIRAC's resource status system say that storage elements are Active or Banned."""
        server = {"DIRAC_ROOT_PATH": str(self.folder / "server")}
        _run(self.bin / "python", "-c", _SET_STATUS, status, *elements, env=server)

    def run(self, command: str, *told: object, **more: Any) -> str:
        """Run a command of DIRAC's as the lab's user, and return what it says."""
        return _run("bash", "-c", '. "$0" && exec "$@"', self.environment, command, *told, **more)

    def _spawn(self, name: str, *command: object, **more: str) -> None:
        """Start a process with a log, unless it runs."""
        place = self._place(name, "pid")
        if place.exists() and _runs(int(place.read_text())):
            return
        with self._place(name, "log").open("ab") as log:
            process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env=os.environ | more, start_new_session=True,
            )  # fmt: skip
        self._children[process.pid] = process
        place.write_text(str(process.pid))

    def _wait(self, name: str) -> None:
        """Wait until a process listens on its port."""
        pid = int(self._place(name, "pid").read_text())
        end = time.monotonic() + DEADLINE_S
        while not _listens(self._ports()[name]):
            if not _runs(pid) or time.monotonic() > end:
                log = self._place(name, "log")
                raise RuntimeError(f"{name} did not start; see {log}:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)

    def _ports(self) -> dict[str, int]:
        ports: dict[str, int] = json.loads((self.folder / "lab.json").read_text())["ports"]
        return ports

    def _place(self, name: str, kind: str) -> Path:
        folder = self.folder / "run"
        folder.mkdir(exist_ok=True)
        return folder / f"{name.replace('/', '-')}.{kind}"

    def _sources(self) -> Path:
        (found,) = (self.folder / "venv" / "lib").glob("python3.*/site-packages/DIRAC")
        return found


def _run(*command: object, env: Mapping[str, str] | None = None, **more: Any) -> str:
    told = [str(part) for part in command]
    try:
        done = subprocess.run(
            told, capture_output=True, text=True, env=os.environ | (env or {}), check=False, **more
        )
    except FileNotFoundError as error:
        raise RuntimeError(f"there is no {told[0]} here; {NEEDED}") from error
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(told)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done.stdout + done.stderr


def _sbin(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise RuntimeError(f"there is no {name} here; {NEEDED}")
    return found


def _free_ports(n_ports: int) -> list[int]:
    taken = [socket.socket() for _ in range(n_ports)]
    try:
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in taken]
    finally:
        for one in taken:
            one.close()


def _listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
