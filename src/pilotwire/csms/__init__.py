"""The central system: one actor per station."""
