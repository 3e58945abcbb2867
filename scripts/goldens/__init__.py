"""Parts of scripts/make_goldens.py: everything that produces tests/data/goldens/."""
