"""ISO 15118-20:2022, both ends: AC, DC, both bidirectional, wireless and automatic connection."""
