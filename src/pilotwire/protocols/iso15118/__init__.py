"""The conversation of a vehicle and a charging station over power line: DIN SPEC 70121, ISO 15118-2 and -20."""
