"""The shared vocabulary: quantities, identifiers, money, time, errors. Imports nothing of ours."""
