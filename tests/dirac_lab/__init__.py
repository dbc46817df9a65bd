"""A real DIRAC of one machine, for the tests of storage of the kind ``dirac``.

    python -m tests.dirac_lab up FOLDER
    PROV_TEST_DIRAC=FOLDER pytest tests/service/test_storage_dirac.py
    python -m tests.dirac_lab down FOLDER

`up` installs DIRAC from PyPI into a virtual environment of its own, makes certificates and a
proxy, and starts MariaDB and DIRAC's own services on the loopback address, all as ordinary
processes of this user: Configuration/Server, DataManagement/FileCatalog,
ResourceStatus/ResourceStatus, Accounting/DataStore and three DataManagement/StorageElement. It
needs uv, and of Debian ``mariadb-server libmariadb-dev gcc pkg-config openssl``. The folder takes
some 600 MB. Nothing of it is for production.
"""
