"""The commands of `datlake` that say who may do what, straight on the registry's database."""
