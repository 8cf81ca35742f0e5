"""Errors that whoever runs the store, or gives access to it, can mend; and conflicts."""

from __future__ import annotations

from datacachalog.domain.errors.base import DatacachalogError


class StorageError(DatacachalogError):
    """A store did not give, or did not take, what it was asked to."""

    code = "storage"

    def __init__(self, uri: str, detail: str = "") -> None:
        self.uri, self.detail = uri, detail
        super().__init__(uri, detail)

    def __str__(self) -> str:
        return f"{self.uri!r}: {self.detail}"


class ObjectNotFoundError(StorageError):
    """There is no object at that URI."""

    code = "object-not-found"

    def __str__(self) -> str:
        return f"there is no object at {self.uri!r}" + (f" ({self.detail})" if self.detail else "")

    @property
    def hint(self) -> str:
        if "no bucket" in self.detail:
            return "check the bucket's name and the endpoint, which 'catalog doctor' shows"
        return "check the source in catalog.yaml, and that it was not deleted or renamed"


class VersionNotFoundError(StorageError):
    """The object exists, but has no such version, or had none at that time."""

    code = "version-not-found"
    _hint = "'catalog versions NAME' lists the versions that the store keeps"

    def __str__(self) -> str:
        return f"{self.uri!r} has no version {self.detail}"


class NotAnObjectError(StorageError):
    """The source is a folder, a device or a pipe, where one object was expected."""

    code = "not-an-object"

    def __str__(self) -> str:
        return f"{self.uri!r} is {self.detail or 'a folder'}, not a file"

    @property
    def hint(self) -> str:
        if self.detail in {"", "a folder"}:
            return "name one file in it; datasets of many files are not supported yet"
        return "write what comes out of it to a file, and name that one"


class StorageAccessError(StorageError):
    """The store refuses these credentials, or there are none."""

    code = "storage-access"

    @property
    def hint(self) -> str:
        if self.uri.startswith("datlake://"):
            return "the key is DATLAKE_API_KEY's; ask who runs the registry what it may do"
        if "://" not in self.uri:
            return "look at the permissions of the file, and of the folders above it"
        return "'catalog doctor' shows which credentials are used; 'anonymous: true' uses none"

    def __str__(self) -> str:
        return f"access to {self.uri!r} was refused: {self.detail}"


class StorageUnavailableError(StorageError):
    """The store cannot be reached, or is failing, after all retries."""

    code = "storage-unavailable"
    _hint = "check the network and the endpoint; 'catalog doctor' tries each store"

    def __str__(self) -> str:
        return f"{self.uri!r} cannot be reached: {self.detail}"


class OfflineError(StorageUnavailableError):
    """The store was not asked, because nothing may be asked now, and the cache has no answer."""

    code = "offline"
    _hint = "leave out offline=True, --offline, DATACACHALOG_OFFLINE or DATLAKE_OFFLINE to ask"

    def __str__(self) -> str:
        return f"{self.uri!r} may not be asked while offline"


class RemoteChangedError(StorageError):
    """The object kept changing while it was read, so no consistent copy could be made."""

    code = "remote-changed"
    _hint = "try again when whoever writes it has finished"

    def __str__(self) -> str:
        return f"{self.uri!r} changed while it was read" + (
            f" ({self.detail})" if self.detail else ""
        )


class ObjectReplacedError(RemoteChangedError):
    """The object of a snapshot, which never changes, is not the one that was registered."""

    code = "object-replaced"
    _hint = "bring the object back, or register what is there now: a snapshot never changes"

    def __str__(self) -> str:
        return f"{self.uri!r} is not what was registered: {self.detail}"


class UnsupportedSchemeError(StorageError):
    """No adapter speaks the scheme of that URI."""

    code = "unsupported-scheme"

    def __str__(self) -> str:
        return f"no storage adapter for {self.uri!r} ({self.detail})"

    @property
    def hint(self) -> str:
        if self.uri.startswith(("s3a://", "s3n://")):
            return "did you mean 's3://'?"
        return "a package that provides it registers in the entry-point group datacachalog.storage"


class UnsupportedOperationError(StorageError):
    """This store cannot do safely what was asked."""

    code = "unsupported-operation"


class ConflictError(DatacachalogError):
    """The remote is not the revision that the push was based on; nothing was written."""

    code = "conflict"

    def __init__(self, uri: str, expected: str, found: str = "another revision") -> None:
        self.uri, self.expected, self.found = uri, expected, found
        super().__init__(uri, expected, found)

    def __str__(self) -> str:
        return f"{self.uri!r} was to be {self.expected}, but is {self.found}; nothing was pushed"

    @property
    def hint(self) -> str:
        if self.found == "absent":
            return 'it was deleted; to make it anew, push with expect="absent"'
        if self.expected == "absent":
            mine = 'it is there already; push with expect="cached" after catalog.fetch()'
        else:
            mine = "bring your change into what catalog.fetch() gives now, and push that"
        return f'{mine}, or overwrite whatever is there with expect="any"'
