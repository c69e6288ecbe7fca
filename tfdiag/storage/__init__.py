"""A run on disk: `schema` says what is there, `writer` appends it, `reader` opens it."""
