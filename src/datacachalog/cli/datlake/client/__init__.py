"""The commands of `datlake` that ask a registry; they need none of its libraries."""
